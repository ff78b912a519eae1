"""Arrays and probe results kept beside the data, in ``<root>/.zoo``, which may be deleted at any time.

An entry's name stands for everything that its content follows from, so a changed file or size finds no old entry. An
array's file ends in a line of JSON that says whose it is: one that was copied or moved is refused, not used. Files are
written under another name and renamed: of two processes that make the same entry, either may win.
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

FORMAT = 3
"""Part of every entry's name: raise it when the same settings give other numbers."""
MOST_ORIGIN = 1 << 16
"""Bytes of the line of JSON behind an array."""


@cache
def cache_home(root: Path) -> Path:
    """``<root>/.zoo``; where that cannot be written, a folder of the user's cache, which a warning names."""
    beside = root / ".zoo"
    try:
        beside.mkdir(exist_ok=True)
        _replace(beside / "writable", lambda file: None)
        return beside
    except OSError as problem:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        home = base / "zoo" / entry_name(root.resolve())
        home.mkdir(parents=True, exist_ok=True)
        warnings.warn(
            f"{beside} cannot be written ({problem.strerror}); resized frames and flow are kept in {home}.",
            stacklevel=2,
        )
        return home


def entry_name(*parts: object) -> str:
    """A file name that stands for these values: equal values, equal name."""
    return hashlib.sha256(json.dumps([FORMAT, *map(str, parts)]).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Origin:
    """Whose array it is: kind, such as frames or a flow, of a video in the data set, at a size (height, width)."""

    video: str
    stamp: str
    kind: str
    size: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.kind} of {self.video} at {self.size[1]}x{self.size[0]} (stamp {self.stamp})"


class ArrayCache:
    """Arrays by name, a file each."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def get(self, name: str, origin: Origin, shape: tuple[int, ...], make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array of this name; what is not there is made and kept. Where it cannot be kept it is made each time."""
        found = self.find(name, origin, shape)
        return self.keep(name, origin, make()) if found is None else found

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return self._path(name).exists()

    def find(self, name: str, origin: Origin, shape: tuple[int, ...]) -> NDArray[Any] | None:
        """The array of this name, mapped from disk; None if it is not there, or not whole.

        Raises ZooError if what is kept under this name has another origin or another shape.
        """
        path = self._path(name)
        try:
            array, found = _load(path)
        except (OSError, ValueError, EOFError, RecursionError):
            return None
        if found != origin or array.shape != shape:
            raise ZooError(
                f"{path} holds {found}, of shape {array.shape}; here belong {origin}, of shape {shape}. It was copied "
                "or moved. Delete it, and it will be made anew."
            )
        return array

    def keep(self, name: str, origin: Origin, array: NDArray[Any]) -> NDArray[Any]:
        """Write an array under this name, with a warning where that cannot be; returns it."""
        path = self._path(name)

        def write(file: BinaryIO) -> None:
            np.save(file, array)
            file.write(b"\n" + json.dumps(asdict(origin)).encode())

        try:
            _replace(path, write)
        except OSError as problem:
            warnings.warn(f"{path} cannot be written: {problem.strerror}.", stacklevel=3)
        return array

    def _path(self, name: str) -> Path:
        return self.home / f"{name}.npy"


def _load(path: Path) -> tuple[NDArray[Any], Origin]:
    """The array, mapped, and the origin behind it; a ValueError if either is not whole."""
    array: Any = np.lib.format.open_memmap(path, mode="r")  # refuses pickled objects
    with path.open("rb") as file:
        file.seek(array.offset + array.nbytes)
        kept = json.loads(file.read(MOST_ORIGIN))
    try:
        return array, Origin(**kept | {"size": tuple(kept["size"])})
    except (TypeError, KeyError) as problem:
        raise ValueError(f"{path} has no origin") from problem


def load_index(home: Path) -> dict[str, Any]:
    """What is known of files by name and stamp; empty if nothing is."""
    try:
        index = json.loads((home / "index.json").read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return index if isinstance(index, dict) else {}


def save_index(home: Path, index: dict[str, Any]) -> None:
    """Keep what is known of files, if it can be kept: without it they are only probed again."""
    with suppress(OSError):
        _replace(home / "index.json", lambda file: file.write(json.dumps(index, indent=0).encode()))


def _replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with part.open("wb") as file:
            write(file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
