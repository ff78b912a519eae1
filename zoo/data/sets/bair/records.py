"""Read TFRecord files of examples without TensorFlow. Imports no torch.

A record is its length (8 bytes), a checksum of that (4), the bytes, and a checksum of these (4), little endian. The
bytes are a protocol buffer, tf.train.Example: named lists of byte strings or of floats.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.sets.bair.crc import masked_crc32c
from zoo.errors import ZooError

HEADER, FOOTER = struct.Struct("<QI"), struct.Struct("<I")
MOST_BYTES = 1 << 26
"""Largest record, 64 MiB; one of BAIR has 0.7."""
MOST_RECORDS = 100_000
"""Largest number of records in a file; one of BAIR has 256."""
MOST_VARINT = 10
"""Bytes of the longest integer of a protocol buffer."""
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types of a protocol buffer."""


@dataclass(frozen=True)
class Record:
    """Place of a record in a file. start: of its bytes. stamp: of the file; a changed file is read again."""

    path: Path
    stamp: str
    start: int
    length: int


@dataclass(frozen=True)
class Example:
    """The features of a record by name. texts: byte strings. floats: (N,) float32 each."""

    texts: dict[str, memoryview]
    floats: dict[str, NDArray[np.float32]]


def index_records(path: Path) -> list[tuple[int, int]]:
    """Start and length of each record of a file; reads the lengths alone. Raises ZooError for a damaged file."""
    size = path.stat().st_size
    places: list[tuple[int, int]] = []
    with path.open("rb") as file:
        at = 0
        while at < size:
            file.seek(at)
            head = file.read(HEADER.size)
            if len(head) < HEADER.size:
                raise _cut_short(path, at, HEADER.size, len(head))
            length, crc = HEADER.unpack(head)
            if masked_crc32c(head[:8]) != crc:
                raise ZooError(f"{path} is no TFRecord file, or damaged: no record begins at byte {at}. Copy it again.")
            end = at + HEADER.size + length + FOOTER.size
            if length > MOST_BYTES or len(places) == MOST_RECORDS:
                raise ZooError(
                    f"{path} is not read: at most {MOST_RECORDS:,} records of {MOST_BYTES:,} bytes are supported, and "
                    f"number {len(places) + 1} has {length:,}."
                )
            if end > size:
                raise _cut_short(path, at, end - at, size - at)
            places.append((at + HEADER.size, length))
            at = end
    if not places:
        raise ZooError(f"{path} contains no record. Copy it again.")
    return places


def _cut_short(path: Path, at: int, needed: int, there: int) -> ZooError:
    return ZooError(
        f"{path} is cut short: the record at byte {at} has {needed:,} bytes, but {there:,} are there. Copy it again."
    )


@lru_cache(maxsize=4)
def read_example(record: Record) -> Example:
    """Read one record and its features. Its checksum is compared the first time in a process. Raises ZooError."""
    try:
        with record.path.open("rb") as file:
            file.seek(record.start)
            data = file.read(record.length + FOOTER.size)
        if len(data) < record.length + FOOTER.size:
            raise ValueError("it is cut short")
        _compare_checksum(record, os.getpid())
        return _parse_example(memoryview(data)[: record.length])
    except (OSError, ValueError) as problem:
        at = record.start - HEADER.size
        raise ZooError(
            f"{record.path}: the record at byte {at} is damaged: {problem}. Copy the file again."
        ) from problem


@lru_cache(maxsize=1 << 17)
def _compare_checksum(record: Record, process: int) -> None:
    with record.path.open("rb") as file:
        file.seek(record.start)
        data = file.read(record.length)
        (crc,) = FOOTER.unpack(file.read(FOOTER.size))
    if masked_crc32c(data) != crc:
        raise ValueError("its checksum differs from the stored one")


def _parse_example(data: memoryview) -> Example:
    """Example{1: Features{1: entry{1: name, 2: Feature{1: BytesList | 2: FloatList}}}}. Raises ValueError."""
    example = Example({}, {})
    for features in _parts(data, 1):
        for entry in _parts(features, 1):
            name = bytes(next(_parts(entry, 1), b"")).decode()
            feature = next(_parts(entry, 2), memoryview(b""))
            for texts in _parts(feature, 1):
                for text in _parts(texts, 1):
                    example.texts[name] = text
            for floats in _parts(feature, 2):
                packed = b"".join(bytes(value) for value in _parts(floats, 1))
                if len(packed) % 4:
                    raise ValueError(f"the floats of {name} have {len(packed)} bytes")
                example.floats[name] = np.frombuffer(packed, "<f4").astype(np.float32)
    return example


def _parts(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """Yield the values of a field that are stored as bytes: strings, messages, packed or single floats."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        wire = key & 7
        if wire == VARINT:
            _, at = _read_varint(data, at)
            continue
        if wire == BYTES:
            length, at = _read_varint(data, at)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"it has a field of the unknown type {wire}")
        if length > len(data) - at:
            raise ValueError("a field is longer than the message that contains it")
        if key >> 3 == wanted:
            yield data[at : at + length]
        at += length


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + MOST_VARINT]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("an integer does not end")
