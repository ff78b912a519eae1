"""Arrays by file and name, opened once per process. Imports no torch."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from zoo.data.sequences.files import stamp_files
from zoo.data.sets.arrays.chunked import open_hdf5, open_zarr
from zoo.data.sets.arrays.mapped import open_npy, open_npz
from zoo.data.sets.arrays.names import HDF5, SUFFIXES, ZARR
from zoo.errors import ZooError

MOST_PARTS = 16
"""Files of a Zarr array that enter its fingerprint and its checksum, beside its metadata."""
READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npy": open_npy,
    ".npz": open_npz,
    ZARR: open_zarr,
    **dict.fromkeys(HDF5, open_hdf5),
}
NUMBERS = "buif"
"""Kinds of NumPy's types that are numbers: bool, unsigned and signed integers, floats."""
MOST_BYTES_OF_A_NUMBER = 8


@dataclass(frozen=True)
class StoredArray:
    """An array of numbers in a file. name: the file's path under the root, and the array's name in it.

    parts: files that tell whether its content has changed.
    """

    name: str
    path: Path
    key: str
    stamp: str
    parts: tuple[Path, ...]

    @property
    def values(self) -> Any:
        """The array: an object with shape and dtype, of which slices are read."""
        return open_file(self.path, self.stamp)[self.key]


def list_arrays(path: Path, name: str) -> list[StoredArray]:
    """The arrays of numbers in a file. name: its path under the root. Raises ZooError if it cannot be opened."""
    parts = _parts_of(path)
    stamp = stamp_files(parts)
    return [
        StoredArray(f"{name}/{key}" if key else name, path, key, stamp, parts)
        for key, values in open_file(path, stamp).items()
        if values.dtype.kind in NUMBERS and values.dtype.itemsize <= MOST_BYTES_OF_A_NUMBER
    ]


def open_file(path: Path, stamp: str) -> dict[str, Any]:
    """The arrays of a file by name, the same objects within a process. stamp: a changed file is opened again."""
    return _open_file(path, stamp, os.getpid())  # a file of HDF5 that was opened before a fork cannot be read after it


@lru_cache(maxsize=64)
def _open_file(path: Path, stamp: str, process: int) -> dict[str, Any]:
    try:
        return READERS[suffix_of(path)](path)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile) as problem:
        raise ZooError(f"{path} cannot be read: {problem}. Copy it again.") from problem


def suffix_of(path: Path) -> str:
    """The suffix that says how a file is read; a folder is taken for Zarr."""
    return ZARR if path.is_dir() else path.suffix.lower()


def _parts_of(path: Path) -> tuple[Path, ...]:
    """The file itself, or some of the files of a Zarr folder, spread evenly."""
    if not path.is_dir():
        return (path,)
    files = sorted(Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    metadata = [file for file in files if file.name.startswith(".z") or file.name == "zarr.json"]
    chunks = [file for file in files if file not in set(metadata)]
    return (*metadata[:MOST_PARTS], *chunks[:: max(1, -(-len(chunks) // MOST_PARTS))])


def is_array_file(path: Path) -> bool:
    """Whether a file has the suffix of an array, and is not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
