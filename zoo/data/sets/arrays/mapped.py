"""Open .npy and .npz files as memory-mapped arrays. Nothing is unpickled, and nothing is read but headers. No torch."""

from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np

from zoo.cli import python_command
from zoo.errors import ZooError
from zoo.io.bounded import check_is_file

MOST_HEADER = 10_000
"""Largest header of an array in bytes; NumPy's limit, too."""
LENGTHS = {1: ("<H", np.lib.format.read_array_header_1_0), 2: ("<I", np.lib.format.read_array_header_2_0)}
"""Version of the format -> the form of the header's length, and its reader. Version 3 has no plain numbers."""
LOCAL_HEADER = struct.Struct("<26xHH")
ENCRYPTED = 1


def open_npy(path: Path) -> dict[str, Any]:
    """Map the array of a .npy file, under an empty name."""
    check_is_file(path)
    return {"": _map_array(path, 0, path.stat().st_size, path.name)}


def open_npz(path: Path) -> dict[str, Any]:
    """Map the arrays of a .npz file by name. Raises ZooError if they are compressed."""
    check_is_file(path)
    with zipfile.ZipFile(path) as archive:
        members = [each for each in archive.infolist() if each.filename.endswith(".npy")]
    if any(each.compress_type != zipfile.ZIP_STORED or each.flag_bits & ENCRYPTED for each in members):
        raise ZooError(
            f"{path} is compressed, so its arrays cannot be read in place. To unpack it beside itself, type: "
            f"{python_command('zoo.data.prepare', 'arrays', f'root={path}')}"
        )
    arrays = {}
    for each in members:
        with path.open("rb") as file:
            file.seek(each.header_offset)
            names = sum(LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size)))
        start = each.header_offset + LOCAL_HEADER.size + names
        arrays[each.filename.removesuffix(".npy")] = _map_array(path, start, start + each.file_size, each.filename)
    return arrays


def is_compressed(path: Path) -> bool:
    """Whether an archive has compressed members. Raises OSError and BadZipFile."""
    with zipfile.ZipFile(path) as archive:
        return any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist())


def _map_array(path: Path, start: int, stop: int, name: str) -> np.ndarray[Any, Any]:
    """Map the array between two places of a file. Raises ZooError if it is none, or ends before its last number."""
    with path.open("rb") as file:
        file.seek(start)
        try:
            shape, is_fortran, dtype = _read_header(file)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, TokenError, struct.error) as problem:
            raise ZooError(f"{path}: {name} is no array of NumPy, or damaged: {problem}. Write it again.") from problem
        data = file.tell()
    if dtype.hasobject:
        return np.empty(0, object)  # is left out: to read it would run what it contains
    size = math.prod(shape) * dtype.itemsize
    if size > stop - data:
        raise ZooError(
            f"{path} is cut short: {name} needs {size:,} bytes for its shape {shape}, but {max(stop - data, 0):,} are "
            "there. Copy it again."
        )
    if not size:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", data, shape, "F" if is_fortran else "C")


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    major, _ = np.lib.format.read_magic(file)
    if major not in LENGTHS:
        raise ValueError(f"version {major} of the format has no plain numbers")
    form, read = LENGTHS[major]
    place = file.tell()
    (length,) = struct.unpack(form, file.read(struct.calcsize(form)))
    if length > MOST_HEADER:
        raise ValueError(f"its header has {length:,} bytes")
    file.seek(place)
    shape, is_fortran, dtype = read(file)
    return shape, is_fortran, dtype
