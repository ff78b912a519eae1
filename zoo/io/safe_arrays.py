"""Read NumPy archives (.npz) from untrusted sources: numbers only, and no more memory than the archive fills."""

from __future__ import annotations

import zipfile
import zlib
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.io.bounded import check_is_file
from zoo.io.safe_settings import check_decompressed_size

LARGEST_RATIO = 20
"""Bytes that a byte of a compressed archive may become. Weights hardly shrink; Deflate reaches 1,032 with zeros."""
KINDS = "fiub"
"""Kinds of numbers: floating-point, integers, booleans."""


def read_arrays(file: Path, what: str) -> dict[str, Tensor]:
    """Read all arrays of an .npz file, by name. what: the kind of file, for the error message, such as ``a snapshot``.

    Raises ZooError for a file that is no archive of numbers, is truncated, or states larger arrays than it contains.
    """
    check_is_file(file)
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            check_decompressed_size(file, members, most=LARGEST_RATIO * file.stat().st_size)
            return {member.filename.removesuffix(".npy"): _read_member(archive, member) for member in members}
    except (OSError, EOFError, ValueError, SyntaxError, zipfile.BadZipFile, zlib.error, NotImplementedError) as problem:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]
        raise ZooError(f"{file} cannot be read as {what}: {reason}") from problem


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Tensor:
    """One array. Its header is compared with the size of the member before memory is allocated."""
    with archive.open(member) as opened:
        version = np.lib.format.read_magic(opened)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{member.filename} has the unknown format {version}")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(opened)
        if dtype.kind not in KINDS or dtype.hasobject:
            raise ValueError(f"{member.filename} holds {dtype}, and not numbers")
        if prod(shape) * dtype.itemsize > member.file_size:
            raise ValueError(f"{member.filename} states the shape {shape}, but has only {member.file_size} bytes")
    with archive.open(member) as opened:
        values = np.lib.format.read_array(opened, allow_pickle=False)
    return torch.from_numpy(np.array(values, dtype.newbyteorder("="), order="C"))
