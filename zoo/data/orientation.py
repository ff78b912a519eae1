"""How stored pixels are turned and mirrored to be shown: display matrices of videos, and EXIF of images. No torch.

Shapes: H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import error, unpack, unpack_from
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from zoo.io.bounded import check_is_file

Pixels = TypeVar("Pixels", bound=np.generic)

ORIENTATION, COMPRESSION = 0x0112, 0x0103
"""Tags of TIFF, and so of EXIF."""
JPEG_IN_TIFF = (6, 7)
"""Values of COMPRESSION."""


@dataclass(frozen=True)
class Orientation:
    """What is done to stored pixels: rows and columns change places, then columns and rows are reversed."""

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    def apply(self, pixels: NDArray[Pixels]) -> NDArray[Pixels]:
        """Turn stored pixels (h, w, ...) to how they are shown."""
        shown = np.swapaxes(pixels, 0, 1) if self.transposed else pixels
        shown = shown[:, ::-1] if self.mirrored else shown
        return np.ascontiguousarray(shown[::-1] if self.flipped else shown)


UPRIGHT = Orientation()
EXIF_ORIENTATIONS = {
    1: UPRIGHT,
    2: Orientation(mirrored=True),
    3: Orientation(mirrored=True, flipped=True),
    4: Orientation(flipped=True),
    5: Orientation(transposed=True),
    6: Orientation(transposed=True, mirrored=True),
    7: Orientation(transposed=True, mirrored=True, flipped=True),
    8: Orientation(transposed=True, flipped=True),
}


def from_matrix(matrix: Sequence[int]) -> Orientation:
    """The orientation of a display matrix (ISO/IEC 14496-12, 6.2.2), nine numbers a b u c d v x y w: the stored point
    (p, q) is shown at (a p + c q, b p + d q). Other angles are rounded to quarter turns."""
    a, b, _, c, d = matrix[:5]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def from_rotation(degrees: float) -> Orientation:
    """The orientation of a counter-clockwise rotation, rounded to quarter turns."""
    turns = round(degrees / 90) % 4
    return EXIF_ORIENTATIONS[{0: 1, 1: 8, 2: 3, 3: 6}[turns]]


def image_orientation(path: Path) -> Orientation:
    """The orientation that the EXIF of an image states; upright if it states none."""
    try:
        return EXIF_ORIENTATIONS.get(_read_tag(path, ORIENTATION), UPRIGHT)
    except (OSError, error):
        return UPRIGHT


def holds_jpeg(path: Path) -> bool:
    """Whether an image is a TIFF with JPEG inside, which FFmpeg decodes as black."""
    check_is_file(path)
    try:
        with path.open("rb") as file:
            if file.read(4)[:2] not in (b"II", b"MM"):
                return False
        return _read_tag(path, COMPRESSION) in JPEG_IN_TIFF
    except (OSError, error):
        return False


def png_grey_bits(path: Path) -> int:
    """Bits of a pixel of a grey PNG; 0 for other images."""
    with path.open("rb") as file:
        head = file.read(26)
    return head[24] if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) == 26 and head[25] == 0 else 0


def _read_tag(path: Path, tag: int) -> int:
    """Value of a tag of the first directory of the EXIF, or of a TIFF itself; 0 if there is none."""
    check_is_file(path)
    with path.open("rb") as file:
        head = file.read(12)
        if head[:2] == b"\xff\xd8":
            block = _find_in_jpeg(file)
        elif head[:8] == b"\x89PNG\r\n\x1a\n":
            block = _find_in_chunks(file, 8, ">I4s", b"eXIf", after=4)
        elif head[:4] == b"RIFF" and head[8:] == b"WEBP":
            block = _find_in_chunks(file, 12, "<4sI", b"EXIF", after=0)
        elif head[:4] in (b"II*\0", b"MM\0*"):
            return _tag_of_tiff(file, 0, tag)
        else:
            return 0
        return _tag_of_tiff(file, block, tag) if block is not None else 0


def _find_in_jpeg(file: BinaryIO) -> int | None:
    """Offset of the EXIF block in a JPEG."""
    file.seek(2)
    while len(header := file.read(4)) == 4 and header[0] == 0xFF and header[1] != 0xDA:
        start, size = file.tell(), unpack(">H", header[2:])[0]
        if header[1] == 0xE1 and file.read(6) == b"Exif\0\0":
            return start + 6
        file.seek(start + max(size - 2, 0))
    return None


def _find_in_chunks(file: BinaryIO, start: int, form: str, name: bytes, after: int) -> int | None:
    """Offset of the content of a chunk; ``after`` are the bytes of a checksum after every chunk."""
    file.seek(start)
    while len(header := file.read(8)) == 8:
        fields: tuple[Any, ...] = unpack(form, header)
        kind, size = (fields[1], fields[0]) if form[0] == ">" else fields
        if kind == name:
            content = file.tell()
            return content + 6 if file.read(6) == b"Exif\0\0" else content
        file.seek(size + after + (size % 2 if form[0] == "<" else 0), 1)
    return None


def _tag_of_tiff(file: BinaryIO, start: int, tag: int) -> int:
    file.seek(start)
    head = file.read(8)
    if head[:2] not in (b"II", b"MM"):
        return 0
    order = "<" if head[:2] == b"II" else ">"
    (offset,) = unpack_from(f"{order}I", head, 4)
    file.seek(start + offset)
    (count,) = unpack(f"{order}H", file.read(2))
    entries = file.read(12 * count)
    for place in range(0, len(entries) - 11, 12):
        found, kind = unpack_from(f"{order}HH", entries, place)
        if found == tag:
            return int(unpack_from(f"{order}{'H' if kind == 3 else 'I'}", entries, place + 8)[0])
    return 0
