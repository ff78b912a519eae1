"""Open HDF5 and Zarr files, whose chunks are read on demand, with the packages h5py and zarr. Imports no torch.

Both formats can refer to other files and name code to run on their data; such arrays are refused.
"""

from __future__ import annotations

import importlib
import math
import os
from pathlib import Path
from typing import Any

from zoo.errors import ZooError, joined
from zoo.io.bounded import check_is_file, read_bounded_json

MOST_CHUNK = 1 << 28
"""Largest chunk in bytes, 256 MiB: a clip is read by whole chunks."""
MOST_METADATA = 1 << 24
CHUNK_CACHE = 1 << 25
"""Bytes of unpacked chunks that HDF5 keeps for each array."""
CODECS = frozenset(
    {"bytes", "blosc", "zlib", "gzip", "zstd", "lz4", "bz2", "lzma", "crc32c", "transpose", "sharding_indexed"}
)
"""Codecs of Zarr that only move or pack bytes; others, such as pickle, may run code."""
METADATA = (".zarray", "zarr.json")
GROUP_METADATA = (".zgroup", "zarr.json")


def open_hdf5(path: Path) -> dict[str, Any]:
    """Open the numeric arrays of an HDF5 file by their paths in it. Raises ZooError without h5py."""
    check_is_file(path)  # HDF5 would wait for what comes out of a pipe
    h5py = _import("h5py", path)
    file = h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE)
    arrays = {}

    def add(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape:
            if item.external or item.is_virtual:
                raise ZooError(f"{path}: the array {name} refers to other files, so it is not read. Copy it into one.")
            _check_chunk(path, name, item.chunks or (), item.dtype.itemsize)
            arrays[name] = item

    file.visititems(add)  # follows no soft or external links
    return arrays


def open_zarr(path: Path) -> dict[str, Any]:
    """Open the numeric arrays under a folder in Zarr's format, by their paths in it. Raises ZooError without zarr."""
    _check_chunk_files(path)
    zarr = _import("zarr", path)
    arrays = {}
    for folder in _find_zarr_arrays(path):
        name = folder.relative_to(path).as_posix()
        _check_codecs(folder)
        array = zarr.open_array(str(folder), mode="r")
        _check_chunk(path, name, array.chunks, array.dtype.itemsize)
        arrays["" if name == "." else name] = array
    return arrays


def _check_chunk_files(path: Path) -> None:
    """Raise ZooError if a named pipe or a device stands in the place of a chunk: reading it might not end."""
    waiting = [path]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    waiting += [] if entry.is_symlink() else [Path(entry.path)]
                elif not entry.is_file():
                    check_is_file(Path(entry.path))


def is_zarr(folder: Path) -> bool:
    """Whether a folder is an array or a group of Zarr."""
    return any((folder / name).is_file() for name in (*METADATA, *GROUP_METADATA))


def _find_zarr_arrays(path: Path) -> list[Path]:
    found = []
    for folder, folders, names in os.walk(path):
        folders.sort()
        if ".zarray" in names or ("zarr.json" in names and _read_metadata(Path(folder)).get("node_type") == "array"):
            found.append(Path(folder))
            folders.clear()  # its chunks
    return found


def _read_metadata(folder: Path) -> dict[str, Any]:
    path = next(folder / name for name in METADATA if (folder / name).is_file())
    try:
        metadata = read_bounded_json(path, MOST_METADATA)
    except ValueError as problem:
        raise ZooError(f"{path} is no JSON: {problem}. Write the array again.") from problem
    if not isinstance(metadata, dict):
        raise ZooError(f"{path} does not describe an array. Write it again.")
    return metadata


def _check_codecs(folder: Path) -> None:
    """Raise ZooError for an array that names codecs beyond CODECS."""
    metadata = _read_metadata(folder)
    waiting = [metadata.get(key) for key in ("compressor", "filters", "codecs")]
    names = set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            names.add(str(each.get("id") or each.get("name")).removeprefix("numcodecs."))
            settings = each.get("configuration")
            if isinstance(settings, dict):  # of shards, which have codecs of their own
                waiting += [settings.get("codecs"), settings.get("index_codecs")]
        elif each is not None:
            names.add(str(each))
    if unknown := sorted(names - CODECS):
        raise ZooError(
            f"{folder} is packed by {joined(unknown)}, which may run code, so it is not read. Write it with one of "
            f"{joined(sorted(CODECS))}."
        )


def _check_chunk(path: Path, name: str, chunk: tuple[int, ...], itemsize: int) -> None:
    size = math.prod(chunk) * itemsize
    if size > MOST_CHUNK:
        raise ZooError(
            f"{path}: the chunks of the array {name} have {size:,} bytes, {chunk} numbers each, and a clip is read by "
            f"whole chunks. Write it with chunks of at most {MOST_CHUNK:,} bytes."
        )


def _import(package: str, path: Path) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as problem:
        raise ZooError(f"{path} needs the package {package}. Type: pip install {package}") from problem
