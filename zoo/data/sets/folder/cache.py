"""Arrays and probe results kept beside the data, in ``<root>/.zoo``, which may be deleted at any time.

An entry's name holds everything that its content follows from, so a changed file or size finds no old
entry. Files are written under another name and renamed: of two processes that make the same entry, either
may win.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

FORMAT = 1
"""Part of every entry's name: raise it when the same settings give other numbers."""


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


class ArrayCache:
    """Arrays by name; what is not there is made and kept."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def get(self, name: str, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array of this name, mapped from disk. Where it cannot be kept it is made again each time."""
        path = self.home / f"{name}.npy"
        try:
            return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]
        except (OSError, ValueError, EOFError):  # not there yet, or not whole
            array = make()
        try:
            _replace(path, lambda file: np.save(file, array))
        except OSError as problem:
            warnings.warn(f"{path} cannot be written: {problem.strerror}.", stacklevel=2)
        return array


def load_index(home: Path) -> dict[str, Any]:
    """What is known of files by name and stamp; empty if nothing is."""
    try:
        index = json.loads((home / "index.json").read_text())
    except (OSError, ValueError):
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
