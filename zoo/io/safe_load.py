"""Read files of tensors from untrusted sources: checkpoints, and weights of other releases.

``torch.load(weights_only=True)`` runs no code. This module also refuses what it lets through: archives that decompress
to more than their size, pickled calls that allocate unlimited memory, and tensors larger than their storage.
"""

from __future__ import annotations

import mmap
import pickle
import pickletools
import re
import zipfile
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.io.bounded import check_is_file
from zoo.io.safe_settings import check_decompressed_size

ALLOWED_GLOBALS = re.compile(
    r"torch\._utils _rebuild_(tensor|tensor_v2|tensor_v3|parameter)"
    r"|torch(\.storage)? \w+Storage"
    r"|torch (Size|device|u?int\d+|float\d+\w*|bfloat16|bool|complex\d+)"
    r"|torch\.nn\.parameter Parameter|collections (OrderedDict|Counter)|(builtins|__builtin__) set|_codecs encode"
)
"""The globals that a pickle may use. torch allows more, such as ``bytearray(10**12)``, which fills the memory."""
STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ByteStorage": torch.uint8,
}
CONTAINERS = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
}
MAX_OPERATIONS = 1_000_000
"""Steps of the pickles of a file. A tensor takes 40, and a byte may make an object of 64."""
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PICKLES = 5
"""Number of consecutive pickles in a file of torch before 1.6: magic number, version, system, content, storages."""


class PickledObject(dict[str, Any]):
    """The attributes of a pickled object of a class that is not imported, by name."""

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def __setstate__(self, attributes: Any) -> None:
        if isinstance(attributes, Mapping):
            self.update(attributes)


def read_tensors(file: Path, what: str, inert: Collection[str] = ()) -> Any:
    """Load a PyTorch file to the CPU. what: the kind of file, for the error message, such as ``a checkpoint``.

    inert: full names of classes and functions that the file may mention, such as ``models.lstm.lstm``. None of them is
    imported or called: objects of such a class, and results of such a function, are read as `PickledObject`.

    Raises ZooError for a file that is no PyTorch file, is truncated, has a wrong checksum, would run code, decompresses
    to more than its size, or has tensors larger than their storage. Nothing large is allocated before that.
    """
    check_is_file(file)
    try:
        with file.open("rb") as opened:
            is_zip = opened.read(4) == b"PK\x03\x04"
            _check_pickles(_zipped_pickles(file) if is_zip else _legacy_pickles(opened), inert)
        if inert and not is_zip:
            content = _read_legacy_modules(file, inert)
        else:
            with torch.serialization.safe_globals([(PickledObject, name) for name in inert]):
                content = torch.load(file, map_location="cpu", weights_only=True)
        for tensor in tensors_in(content):
            _check_storage(tensor)
    except ZooError:
        raise
    except _RefusedError as problem:
        raise ZooError(f"{file} cannot be read as {what}: {problem}") from problem
    except (EOFError, zipfile.BadZipFile) as problem:
        raise ZooError(f"{file} cannot be read as {what}: it is empty or truncated.") from problem
    except Exception as problem:  # torch raises half a dozen types for a file that is not its own
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]
        raise ZooError(f"{file} cannot be read as {what}: it is not a complete PyTorch file: {reason}") from problem
    return content


class _RefusedError(Exception):
    """Why a file is refused, as the end of an error message."""


def _zipped_pickles(file: Path) -> Iterator[bytes]:
    """The pickles in a zip archive written by torch."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        check_decompressed_size(file, members, most=file.stat().st_size)  # torch does not compress
        names = {member: member.filename.rpartition("/")[2].lower() for member in members}  # torch ignores the case
        if "constants.pkl" in names.values():
            raise _RefusedError("it is TorchScript, which contains a program and not only weights.")
        if damaged := archive.testzip():
            raise _RefusedError(f"it is damaged: the content of {damaged} in it does not have its checksum.")
        yield from (archive.read(member) for member, name in names.items() if name == "data.pkl")


def _legacy_pickles(opened: BinaryIO) -> Iterator[IO[bytes]]:
    """The pickles at the start of a file of torch before 1.6; each must be read to its end before the next."""
    try:
        mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError as problem:
        raise EOFError from problem  # an empty file
    with mapped:
        for _ in range(LEGACY_PICKLES):
            yield cast(IO[bytes], mapped)


def _check_pickles(pickles: Iterable[bytes | IO[bytes]], inert: Collection[str]) -> None:
    """Refuse a pickle that uses any global but the parts of tensors and the inert ones. Nothing is unpickled."""
    operations = 0
    for each in pickles:
        strings: list[str] = []  # the last two, which STACK_GLOBAL takes as module and name
        for code, argument, _ in pickletools.genops(each):
            operations += 1
            if operations > MAX_OPERATIONS:
                raise _RefusedError(f"it would make more than {MAX_OPERATIONS:,} objects, which no model needs.")
            if isinstance(argument, str) and code.name != "GLOBAL":
                strings = [*strings[-1:], argument]
            if code.name in ("GLOBAL", "INST", "STACK_GLOBAL"):
                name = argument if code.name != "STACK_GLOBAL" else " ".join(strings)
                allowed = ALLOWED_GLOBALS.fullmatch(str(name)) or str(name).replace(" ", ".") in inert
                if code.name != "GLOBAL" or not allowed:
                    raise _RefusedError(
                        f"it uses {str(name).replace(' ', '.')}, which no tensor needs, so it would run code. "
                        "Nothing was run. Do not open the file with other programs either."
                    )


def _read_legacy_modules(file: Path, inert: Collection[str]) -> Any:
    """Read a file of torch before 1.6 with whole modules, which torch only loads together with their classes.

    It is a sequence of pickles (`LEGACY_PICKLES`; the last one lists the storages), and the contents of the storages.
    """
    with file.open("rb") as opened:
        reader = _LegacyUnpickler(opened, inert, file.stat().st_size)
        parts = [reader.load()]
        for _ in range(LEGACY_PICKLES - 1):
            reader = reader.continued()
            parts.append(reader.load())
        magic, _, system, content, keys = parts
        if magic != LEGACY_MAGIC or not (isinstance(system, dict) and system.get("little_endian")):
            raise _RefusedError("it is not a little-endian file of torch before 1.6.")
        for key in keys:
            storage = reader.storages[key]._untyped_storage
            count, expected = (
                int.from_bytes(opened.read(8), "little"),
                len(storage) // reader.storages[key].dtype.itemsize,
            )
            if count != expected or opened.readinto(_bytes_of(storage)) != len(storage):
                raise EOFError
    return content


def _bytes_of(storage: torch.UntypedStorage) -> Any:
    """The memory of a storage, to be written to."""
    memory: Any = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
    return memoryview(memory)


class _LegacyUnpickler(pickle.Unpickler):
    """Builds only tensors, plain containers and `PickledObject`. limit: bytes that all storages may have together."""

    def __init__(self, opened: BinaryIO, inert: Collection[str], limit: int) -> None:
        super().__init__(opened)
        self.opened, self.inert, self.left = opened, inert, limit
        self.storages: dict[str, torch.TypedStorage] = {}
        self.object_class = type("PickledObject", (PickledObject,), {})  # its own: a pickle may set attributes of it

    def continued(self) -> _LegacyUnpickler:
        """A reader of the next pickle of the file, with the same storages."""
        reader = _LegacyUnpickler(self.opened, self.inert, self.left)
        reader.storages = self.storages
        return reader

    def find_class(self, module: str, name: str) -> Any:
        """The inert class, a part of a tensor, or a container."""
        if f"{module}.{name}" in self.inert:
            return self.object_class
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"):
            return partial(getattr(torch._utils, name))
        if (module, name) in CONTAINERS:
            return CONTAINERS[module, name]
        raise pickle.UnpicklingError(f"{module}.{name} is not expected in it")

    def persistent_load(self, pid: Any) -> Any:
        """A storage, filled later, or the class of a module, without its source."""
        if pid[0] == "module":
            return pid[1]
        _, dtype, key, _, count, view = pid
        if view is not None or not isinstance(dtype, torch.dtype) or not 0 <= count * dtype.itemsize <= self.left:
            raise _RefusedError("it holds a storage that is larger than the file, or a part of another one.")
        if key not in self.storages:
            self.left -= count * dtype.itemsize
            memory = torch.zeros(count * dtype.itemsize, dtype=torch.uint8)
            typed: Any = torch.TypedStorage
            self.storages[key] = typed(wrap_storage=memory.untyped_storage(), dtype=dtype, _internal=True)
        return self.storages[key]


def tensors_in(content: Any) -> Iterator[Tensor]:
    """Iterate over all tensors in nested containers; every container is visited once."""
    seen: set[int] = set()
    pending = [content]
    while pending:
        value = pending.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            pending.extend(chain(value, value.values()) if isinstance(value, Mapping) else value)


def _check_storage(tensor: Tensor) -> None:
    """Refuse a tensor with more elements than its storage: a few bytes may be expanded to terabytes."""
    plain = tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
    if not plain or tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
        kind = "" if plain else f"{tensor.layout}, on {tensor.device}, "
        raise _RefusedError(
            f"it holds a tensor of shape {tuple(tensor.shape)} ({kind}{tensor.dtype}) whose values are not in the file."
        )
