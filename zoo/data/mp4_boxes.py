"""Check how many frames an MP4 or QuickTime file claims to contain, before FFmpeg allocates memory for them.

FFmpeg lists all frames in memory before it reads the first one. A table of samples of equal size is a single number, so
a file of 1600 bytes can claim a billion frames, which take 64 GB.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from struct import error, unpack_from

from zoo.errors import ZooError

MAX_SAMPLES_PER_BYTE = 4
"""Largest plausible number of samples per byte of the file; samples of some old audio formats take less than a byte."""
CONTAINER_BOXES = frozenset(b"moov moof trak traf mdia minf stbl udta edts dinf mvex tref wave meta sinf ilst".split())
"""Boxes that FFmpeg parses at any level; it skips the others."""
TABLE_BOXES = re.compile(rb"stsz|trun|cmov")
COUNT_OFFSETS = {b"stsz": 12, b"trun": 8}
"""Offset of the sample count from the name of the box (ISO/IEC 14496-12, 8.7.3 and 8.8.8)."""


def check_claimed_frames(path: Path) -> None:
    """Raise ZooError if a file claims more samples than its size allows. Other formats are not checked."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = 0
        while start + 16 <= len(data):
            size, kind = unpack_from(">I4s", data, start)
            if size == 1:
                (size,) = unpack_from(">Q", data, start + 8)
            if kind in CONTAINER_BOXES:
                _check_tables(path, data, start, min(start + size, len(data)) if size else len(data))
            if size < 8:
                return
            start += size


def _check_tables(path: Path, data: mmap.mmap, start: int, stop: int) -> None:
    for found in TABLE_BOXES.finditer(data, start, stop):
        if found[0] == b"cmov":
            raise ZooError(
                f"{path} cannot be read: its frame table is compressed. Rewrite it: ffmpeg -i in.mov -c copy out.mov"
            )
        try:
            (count,) = unpack_from(">I", data, found.start() + COUNT_OFFSETS[found[0]])
        except error:
            continue  # truncated: FFmpeg reports that
        if count > MAX_SAMPLES_PER_BYTE * len(data):
            raise ZooError(f"{path} cannot be read: it claims {count:,} frames, but has only {len(data):,} bytes.")
