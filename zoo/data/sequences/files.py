"""The files of a folder in their order, and what tells one content from another. Imports neither numpy nor PyAV."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path

VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".avi", ".mov", ".gif")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")

PIECE = 2**20
"""Bytes of a piece of a large file that stand for the whole."""


def files_in(folder: Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[Path]:
    """The files of these suffixes in a folder in the order of their numbers: 2.png before 10.png."""
    return sorted((path for path in folder.iterdir() if has_suffix(path.name, suffixes)), key=natural_order)


def has_suffix(name: str, suffixes: Collection[str] = IMAGE_SUFFIXES) -> bool:
    """Whether a file of that name is of these kinds; hidden files are not."""
    return Path(name).suffix.lower() in suffixes and not name.startswith(".")


def natural_order(path: Path) -> list[str | int]:
    """A key to sort by: runs of digits in a name count as numbers."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


def stamp_of(path: Path) -> str:
    """Size and time of a file, or of the images in a folder: another stamp is another content."""
    stats = [part.stat() for part in (files_in(path) if path.is_dir() else [path])]
    return f"{len(stats)}-{sum(s.st_size for s in stats)}-{max((s.st_mtime_ns for s in stats), default=0)}"


def stamp_of_files(paths: Iterable[Path]) -> str:
    """The same of a list of files; the order and the names count."""
    stats = ((path.name, path.stat()) for path in paths)
    return hashlib.sha256(repr([(name, s.st_size, s.st_mtime_ns) for name, s in stats]).encode()).hexdigest()[:20]


def content_of(paths: Iterable[Path]) -> str:
    """A checksum of what files hold, in their order, 16 digits: the same on every machine and whatever decodes them,
    under any name, in any folder, at any time. Of a file of more than three MiB its size counts, and its first, middle
    and last MiB: enough to tell two encoded videos apart, and cheaper than decoding them."""
    digest = hashlib.sha256()
    for path in paths:
        stat = path.stat()
        digest.update(_digest(path, stat.st_size, stat.st_mtime_ns))
    return digest.hexdigest()[:16]


@lru_cache(maxsize=4096)
def _digest(path: Path, size: int, time: int) -> bytes:
    """Of one file of that size, written at that time."""
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= 3 * PIECE:
            digest.update(file.read())
        else:
            for start in (0, (size - PIECE) // 2, size - PIECE):
                file.seek(start)
                digest.update(file.read(PIECE))
    return digest.digest()
