"""How many frames an MP4 or QuickTime file claims to hold. FFmpeg lists them in memory before it reads the first one.

A table of samples of equal size is one number: sixteen hundred bytes can claim a billion frames, and take 64 GB.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from struct import error, unpack_from

from zoo.errors import ZooError

MOST_PER_BYTE = 4
"""Samples for a byte of the file; those of some old sound are less than a byte each."""
CONTAINERS = frozenset(b"moov moof trak traf mdia minf stbl udta edts dinf mvex tref wave meta sinf ilst".split())
"""Boxes that FFmpeg looks into wherever they stand; it skips the others."""
TABLES = re.compile(rb"stsz|trun|cmov")
COUNT_AT = {b"stsz": 12, b"trun": 8}
"""Where the count stands, from the name of the box (ISO/IEC 14496-12, 8.7.3 and 8.8.8)."""


def check_claimed_frames(path: Path) -> None:
    """A ZooError for a file that claims more samples than its bytes can be; nothing is said of other formats."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = 0
        while start + 16 <= len(data):
            size, kind = unpack_from(">I4s", data, start)
            if size == 1:
                (size,) = unpack_from(">Q", data, start + 8)
            if kind in CONTAINERS:
                _check_tables(path, data, start, min(start + size, len(data)) if size else len(data))
            if size < 8:
                return
            start += size


def _check_tables(path: Path, data: mmap.mmap, start: int, stop: int) -> None:
    for found in TABLES.finditer(data, start, stop):
        if found[0] == b"cmov":
            raise ZooError(f"{path} cannot be read: its list of frames is compressed. Write it anew: ffmpeg -c copy")
        try:
            (count,) = unpack_from(">I", data, found.start() + COUNT_AT[found[0]])
        except error:
            continue  # cut short, which FFmpeg tells
        if count > MOST_PER_BYTE * len(data):
            raise ZooError(f"{path} cannot be read: it claims {count:,} frames, and has {len(data):,} bytes.")
