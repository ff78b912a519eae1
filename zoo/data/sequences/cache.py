"""Cache of arrays and probe results beside the data, in ``<root>/.zoo``. The folder may be deleted at any time.

The name of an entry is a hash of everything that determines its content, so a changed file or size finds no outdated
entry. An array file ends with a line of JSON that states its origin, so an entry that was copied or moved is refused.
Files are written under a temporary name and renamed: if two processes write the same entry, either may win.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ZooError

FORMAT = 4
"""Version of the cache, part of every entry's name. Raise it when the same settings give other values."""
MAX_ORIGIN_BYTES = 1 << 16
"""Maximal length of the line of JSON after an array, in bytes."""


@cache
def cache_folder(root: Path) -> Path:
    """Return ``<root>/.zoo``; if it is not writable, a folder in the user's cache, with a warning that names it."""
    beside = root / ".zoo"
    try:
        beside.mkdir(exist_ok=True)
        _write_and_rename(beside / "writable", lambda file: None)
        return beside
    except OSError as problem:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        home = base / "zoo" / entry_name(root.resolve())
        home.mkdir(parents=True, exist_ok=True)
        warnings.warn(
            f"{beside} is not writable ({problem.strerror}); resized frames and flow are cached in {home}.",
            stacklevel=2,
        )
        return home


def entry_name(*parts: object) -> str:
    """Return a file name that is a hash of these values."""
    return hashlib.sha256(json.dumps([FORMAT, *map(str, parts)]).encode()).hexdigest()[:20]


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
        """Load an array, memory-mapped; None if it is missing or incomplete.

        Raises ZooError if the file has another origin or another shape.
        """
        path = self._path(name)
        try:
            array, found = _load_array(path)
        except (OSError, ValueError, EOFError, RecursionError):
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

        def write(file: BinaryIO) -> None:
            np.save(file, array)
            file.write(b"\n" + json.dumps(asdict(origin)).encode())

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
    """Load an array, memory-mapped, and the origin after it. Raises ValueError if either is incomplete."""
    array: Any = np.lib.format.open_memmap(path, mode="r")  # refuses pickled objects
    with path.open("rb") as file:
        file.seek(array.offset + array.nbytes)
        stored = json.loads(file.read(MAX_ORIGIN_BYTES))
    try:
        return array, Origin(**stored | {"size": tuple(stored["size"])})
    except (TypeError, KeyError) as problem:
        raise ValueError(f"{path} has no origin") from problem


def load_index(home: Path) -> dict[str, Any]:
    """Load the index of probe results, by file name and stamp; empty if there is none."""
    try:
        index = json.loads((home / "index.json").read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return index if isinstance(index, dict) else {}


def save_index(home: Path, index: dict[str, Any]) -> None:
    """Save the index of probe results if possible; without it files are only probed again."""
    with suppress(OSError):
        _write_and_rename(home / "index.json", lambda file: file.write(json.dumps(index, indent=0).encode()))


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
