"""Cache of arrays and probe results beside the data, in ``<root>/.zoo``. The folder may be deleted at any time.

The name of an entry is a hash of everything that determines its content, so a changed file or size finds no outdated
entry. An array file ends with a line of JSON that states its origin, so an entry that was copied or moved is refused.
The folder may have come with the data, and another user's cache may hold anything: an entry is signed
(`zoo.io.signatures`), and without the user's own signature it is computed again. Names depend on the user's secret,
too, so several users of a folder do not overwrite each other's entries. Files are written under a temporary name and
renamed: if two processes write the same entry, either may win.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import mmap
import os
import secrets
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ZooError
from zoo.io.bounded import read_bounded
from zoo.io.signatures import is_signed, lasts, sign

FORMAT = 4
"""Version of the cache, part of every entry's name. Raise it when the same settings give other values."""
PURPOSE = "entry of a cache"
MAX_INDEX_BYTES = 1 << 28
MAX_ORIGIN_BYTES = 1 << 16
"""Maximal length of the line of JSON after an array, in bytes."""


@cache
def cache_folder(root: Path) -> Path:
    """Return ``<root>/.zoo``; if it is a link or not writable, a folder in the user's cache, with a warning."""
    beside = root / ".zoo"
    try:
        if beside.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        beside.mkdir(exist_ok=True)
        _write_and_rename(beside / "writable", lambda file: None)
        return beside
    except OSError as problem:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        home = base / "zoo" / entry_name(root.resolve())
        where = f"resized frames and flow are cached in {home}"
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as second:
            where = f"neither is {home} ({second.strerror}), so nothing is cached. Type data.cache=none, or free one"
        warnings.warn(f"{beside} is not writable ({problem.strerror}); {where}.", stacklevel=2)
        return home


def entry_name(*parts: object) -> str:
    """Return a file name that is a hash of these values and the user's secret."""
    return sign("name in a cache", json.dumps([FORMAT, *map(str, parts)]).encode())[:20]


@dataclass(frozen=True)
class Origin:
    """Origin of an array: its kind, such as frames or flow, the video in the data set, and the size (height, width)."""

    video: str
    stamp: str
    kind: str
    size: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.kind} of {self.video} at {self.size[1]}x{self.size[0]} (stamp {self.stamp})"


class ArrayCache:
    """Arrays by name, one file each."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def get_or_make(
        self, name: str, origin: Origin, shape: tuple[int, ...], compute: Callable[[], NDArray[Any]]
    ) -> NDArray[Any]:
        """Load an array, or compute and store it. If it cannot be stored, it is computed at every call."""
        found = self.load(name, origin, shape)
        return self.store(name, origin, compute()) if found is None else found

    def has(self, name: str) -> bool:
        """Whether there is a file of this name, complete or not."""
        return self._path(name).exists()

    def load(self, name: str, origin: Origin, shape: tuple[int, ...]) -> NDArray[Any] | None:
        """Load an array, memory-mapped; None if it is missing, incomplete or not signed by the user.

        Raises ZooError if the file has another origin or another shape.
        """
        path = self._path(name)
        try:
            array, found = _load_array(path)
        except (OSError, ValueError, EOFError, RecursionError, SystemError):  # the last: Python's parser, in threads
            return None
        if found != origin or array.shape != shape:
            raise ZooError(
                f"{path} contains {found}, of shape {array.shape}; expected: {origin}, of shape {shape}. The file was "
                "copied or moved. Delete it, and it is computed again."
            )
        return array

    def store(self, name: str, origin: Origin, array: NDArray[Any]) -> NDArray[Any]:
        """Store an array and return it; warns if that is impossible."""
        path = self._path(name)
        if not lasts():
            return array
        content = io.BytesIO()
        np.save(content, array)
        signature = sign(PURPOSE, _signed_content(content.getbuffer(), origin))
        ending = json.dumps({**asdict(origin), "signature": signature}).encode()

        def write(file: BinaryIO) -> None:
            file.write(content.getbuffer())
            file.write(b"\n" + ending)

        try:
            _write_and_rename(path, write)
        except OSError as problem:
            warnings.warn(
                f"{path} cannot be written: {problem.strerror}. It is computed again for every clip.", stacklevel=3
            )
        return array

    def _path(self, name: str) -> Path:
        return self.home / f"{name}.npy"


def _load_array(path: Path) -> tuple[NDArray[Any], Origin]:
    """Load an array, memory-mapped, and the origin after it. Raises ValueError if it is incomplete or not signed."""
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    array: Any = np.lib.format.open_memmap(path, mode="r")  # refuses pickled objects
    found = path.stat()
    with path.open("rb") as file:
        file.seek(array.offset + array.nbytes)
        stored = json.loads(file.read(MAX_ORIGIN_BYTES))
    try:
        signature = stored.pop("signature")
        origin = Origin(**stored | {"size": tuple(stored["size"])})
    except (TypeError, KeyError, AttributeError) as problem:
        raise ValueError(f"{path} has no origin or signature") from problem
    state = found.st_ino, found.st_size, found.st_mtime_ns
    if not _is_own(path, state, array.offset + array.nbytes, origin, signature):
        raise ValueError(f"{path} is not signed by this user")
    return array, origin


@lru_cache(maxsize=1 << 16)
def _is_own(path: Path, state: tuple[int, ...], length: int, origin: Origin, signature: str) -> bool:
    """Whether an array, the first ``length`` bytes of a file, is signed. Each state of a file is checked once."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return is_signed(PURPOSE, _signed_content(memoryview(content)[:length], origin), signature)


def _signed_content(array: memoryview, origin: Origin) -> bytes:
    with array:
        return hashlib.sha256(array).digest() + json.dumps(asdict(origin)).encode()


def load_index(home: Path) -> dict[str, Any]:
    """Load the index of probe results, by file name and stamp; empty if there is none that the user has signed."""
    try:
        signature, _, content = read_bounded(home / _index_name(), MAX_INDEX_BYTES).partition(b"\n")
        index = json.loads(content) if is_signed(PURPOSE, content, signature.decode()) else {}
    except (OSError, ValueError, RecursionError, ZooError):
        return {}
    return index if isinstance(index, dict) else {}


def _index_name() -> str:
    return f"index-{entry_name('index')[:8]}.json"


def save_index(home: Path, index: dict[str, Any]) -> None:
    """Save the index of probe results if possible; without it files are only probed again."""
    content = json.dumps(index, indent=0).encode()
    with suppress(OSError):
        signed = sign(PURPOSE, content).encode() + b"\n" + content
        _write_and_rename(home / _index_name(), lambda file: file.write(signed))


def _write_and_rename(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with part.open("wb") as file:
            write(file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
