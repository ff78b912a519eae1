"""Reads files of tensors that somebody else may have made: checkpoints, and weights of other releases.

``torch.load(weights_only=True)`` runs no code. What it leaves open is closed here: an archive that unfolds to more than
it weighs, names that take memory without end, and tensors that claim more than they hold.
"""

from __future__ import annotations

import mmap
import pickletools
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.io.safe_settings import check_unfolded

TENSORS_ALONE = re.compile(
    r"torch\._utils _rebuild_(tensor|tensor_v2|tensor_v3|parameter)"
    r"|torch(\.storage)? \w+Storage"
    r"|torch (Size|device|u?int\d+|float\d+\w*|bfloat16|bool|complex\d+)"
    r"|torch\.nn\.parameter Parameter|collections (OrderedDict|Counter)|(builtins|__builtin__) set|_codecs encode"
)
"""What the pickle of a file may ask for. torch allows more: ``bytearray(10**12)``, say, which fills the memory."""
PICKLES = 5
"""In a row, in a file of torch before 1.6: magic number, version, system, the content, its storages."""


def read_tensors(file: Path, what: str) -> Any:
    """The content of a PyTorch file, on the processor. what: for the sentence, such as ``a checkpoint``.

    Raises ZooError, before anything big is allocated, for a file that is none, is cut off, wants to run code, unfolds,
    or claims more than it holds.
    """
    try:
        with file.open("rb") as opened:
            is_zip = opened.read(4) == b"PK\x03\x04"
            _check_pickles(_zipped_pickles(file) if is_zip else _legacy_pickles(opened))
        content = torch.load(file, map_location="cpu", weights_only=True)
        for tensor in tensors_in(content):
            _check_claim(tensor)
    except ZooError:
        raise
    except _RefusedError as problem:
        raise ZooError(f"{file} cannot be read as {what}: {problem}") from problem
    except (EOFError, zipfile.BadZipFile) as problem:
        raise ZooError(f"{file} cannot be read as {what}: it is empty or cut off.") from problem
    except Exception as problem:  # torch raises half a dozen kinds for a file that is not its own
        raise ZooError(
            f"{file} cannot be read as {what}: it is no whole file of PyTorch: {_first_line(problem)}"
        ) from problem
    return content


class _RefusedError(Exception):
    """Why a file is refused, as the end of a sentence."""


def _zipped_pickles(file: Path) -> Iterator[bytes]:
    """The pickle in an archive of torch."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        check_unfolded(file, members, most=file.stat().st_size)  # torch compresses nothing
        names = {member: member.filename.rpartition("/")[2].lower() for member in members}  # torch ignores the case
        if "constants.pkl" in names.values():
            raise _RefusedError("it is TorchScript, which is a program and not weights alone.")
        yield from (archive.read(member) for member, name in names.items() if name == "data.pkl")


def _legacy_pickles(opened: BinaryIO) -> Iterator[IO[bytes]]:
    """The pickles at the beginning of a file of before torch 1.6; each is read up to its end."""
    try:
        mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError as problem:
        raise EOFError from problem  # an empty file
    with mapped:
        for _ in range(PICKLES):
            yield cast(IO[bytes], mapped)


def _check_pickles(pickles: Iterable[bytes | IO[bytes]]) -> None:
    """Refuse a pickle that asks for anything but the parts of tensors; nothing is unpickled."""
    for each in pickles:
        words: list[str] = []  # by two, the name that opcodes of newer pickles ask for
        for code, argument, _ in pickletools.genops(each):
            if isinstance(argument, str) and code.name != "GLOBAL":
                words = [*words[-1:], argument]
            if code.name in ("GLOBAL", "INST", "STACK_GLOBAL"):
                name = argument if code.name != "STACK_GLOBAL" else " ".join(words)
                if code.name != "GLOBAL" or not TENSORS_ALONE.fullmatch(str(name)):
                    raise _RefusedError(
                        f"it asks for {str(name).replace(' ', '.')}, which no tensor needs: it wants to run code. "
                        "Nothing was run. Do not open it with anything else either."
                    )


def tensors_in(content: Any) -> Iterator[Tensor]:
    """Every tensor in nested containers, each container looked into once."""
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(chain(value, value.values()) if isinstance(value, Mapping) else value)


def _check_claim(tensor: Tensor) -> None:
    """One number in the file for each that the tensor has: a few bytes repeated to terabytes would be written out."""
    plain = tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
    if not plain or tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
        kind = "" if plain else f"{tensor.layout}, on {tensor.device}, "
        raise _RefusedError(
            f"it holds a tensor of shape {tuple(tensor.shape)} ({kind}{tensor.dtype}) without its numbers."
        )


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]
