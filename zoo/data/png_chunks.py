"""Check the chunks of a PNG before it is decoded. Imports no torch."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from zoo.errors import ZooError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COMPRESSED = (b"zTXt", b"iTXt", b"iCCP")
"""Chunks of text and of a colour profile, which are unpacked whole; pictures need neither."""
MOST_UNPACKED = 1 << 24
"""Bytes that these chunks may become together; a large colour profile has 3 MB."""
MOST_CHUNKS = 200_000
"""Chunks of a file; the pixels of the largest picture fill 50,000."""


def check_png(path: Path) -> None:
    """Raise ZooError for a PNG whose text or colour profile unpacks to far more than it is, or with too many chunks.

    A megabyte may become a gigabyte. Files that are no PNG are not looked at. Raises OSError.
    """
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            return
        left = MOST_UNPACKED
        for _ in range(MOST_CHUNKS):
            head = file.read(8)
            if len(head) < 8:
                return
            length, kind = struct.unpack(">I4s", head)
            if kind in COMPRESSED:
                left -= _unpacked_size(file, kind, length, left)
                if left <= 0:
                    raise ZooError(
                        f"{path} cannot be read: its text and colour profile unpack to more than {MOST_UNPACKED:,} "
                        "bytes. Save it again without metadata."
                    )
            else:
                file.seek(length, 1)
            file.seek(4, 1)  # the checksum
    raise ZooError(f"{path} cannot be read: it has more than {MOST_CHUNKS:,} chunks. Save it again.")


def _unpacked_size(file: BinaryIO, kind: bytes, length: int, most: int) -> int:
    """Size of a chunk when it is unpacked, at most ``most``."""
    data = file.read(min(length, most))
    if len(data) >= most:
        return most
    start = data.find(b"\0") + 2  # after the keyword and the method of compression
    if kind == b"iTXt":  # whether it is compressed, how, a language and a translated keyword
        start = data.find(b"\0", data.find(b"\0", start + 1) + 1) + 1
    try:
        return max(len(data), len(zlib.decompressobj().decompress(data[start:], most)))
    except zlib.error:
        return len(data)  # not compressed, or damaged
