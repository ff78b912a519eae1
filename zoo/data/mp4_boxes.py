"""Check how many frames an MP4 or QuickTime file claims to contain, before FFmpeg allocates memory for them.

FFmpeg lists all frames in memory before it reads the first one. A table of samples of equal size is a single number, so
a file of 1600 bytes can claim a billion frames, which take 64 GB.

Boxes are walked as FFmpeg walks them, so a word such as `trunk` in a title is no table.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from struct import error, unpack_from

from zoo.errors import ZooError

MAX_SAMPLES_PER_BYTE = 4
"""Largest plausible number of samples per byte of the file; samples of some old audio formats take less than a byte."""
MAX_BOXES = 1_000_000
"""Maximal number of boxes: a file of an hour in fragments of a second has 50,000."""
CONTAINER_BOXES = frozenset(b"moov moof trak traf mdia minf stbl udta edts dinf mvex tref wave meta sinf ilst".split())
"""Boxes that FFmpeg parses at any level."""
ENTRIES = b"stsd"
"""The box of sample descriptions: FFmpeg parses boxes behind each, whose offset depends on the codec."""
COUNT_OFFSETS = {b"stsz": 12, b"trun": 8}
"""Offset of the sample count from the name of the box (ISO/IEC 14496-12, 8.7.3 and 8.8.8)."""
TABLE_BOXES = re.compile(b"|".join((*COUNT_OFFSETS, b"cmov")))
Box = tuple[bytes, int, int]
"""Name of a box, offset of its name, and offset of its end."""


def check_claimed_frames(path: Path) -> None:
    """Raise ZooError if a file claims more samples than its size allows. Other formats are not checked."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        waiting = [(0, len(data))]
        count = 0
        while waiting:
            for kind, place, stop in _boxes(data, *waiting.pop()):
                count += 1
                if count > MAX_BOXES:
                    raise ZooError(f"{path} cannot be read: it contains more than {MAX_BOXES:,} boxes. Re-encode it.")
                if kind in CONTAINER_BOXES:
                    waiting.append((_first_child(data, kind, place, stop), stop))
                elif kind == ENTRIES:
                    for found in TABLE_BOXES.finditer(data, place + 4, stop):
                        if _is_box(data, found.start(), stop):
                            _check_table(path, data, found[0], found.start())
                elif TABLE_BOXES.fullmatch(kind):
                    _check_table(path, data, kind, place)


def _boxes(data: mmap.mmap, start: int, stop: int) -> Iterator[Box]:
    """The boxes between two offsets. A size of 1 stands for one of 64 bits after the name, 0 for all the rest."""
    while start + 8 <= stop:
        size, kind = unpack_from(">I4s", data, start)
        if size == 1 and start + 16 <= stop:
            (size,) = unpack_from(">Q", data, start + 8)
        yield kind, start + 4, min(start + size, stop) if size >= 8 else stop
        if size < 8:
            return
        start += size


def _first_child(data: mmap.mmap, kind: bytes, place: int, stop: int) -> int:
    """Offset of the first box in a container. `meta` begins with a version in MP4, and with a box in QuickTime: FFmpeg
    looks for `hdlr`, which is the first."""
    start = place + 4
    if unpack_from(">I", data, place - 4) == (1,):
        start += 8
    if kind == b"meta" and (found := data.find(b"hdlr", start, stop)) >= start + 4:
        return found - 4
    return start


def _is_box(data: mmap.mmap, place: int, stop: int) -> bool:
    """Whether a name is that of a box: before it is a size that fits. Text before it would be a size beyond the end."""
    (size,) = unpack_from(">I", data, place - 4)
    return size < 2 or 8 <= size <= stop - place + 4


def _check_table(path: Path, data: mmap.mmap, kind: bytes, place: int) -> None:
    if kind == b"cmov":
        raise ZooError(
            f"{path} cannot be read: its frame table is compressed. Rewrite it: ffmpeg -i in.mov -c copy out.mov"
        )
    try:
        (count,) = unpack_from(">I", data, place + COUNT_OFFSETS[kind])
    except error:
        return  # truncated: FFmpeg reports that
    if count > MAX_SAMPLES_PER_BYTE * len(data):
        raise ZooError(f"{path} cannot be read: it claims {count:,} frames, but has only {len(data):,} bytes.")
