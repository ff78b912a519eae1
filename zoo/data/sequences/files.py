"""Files of a folder in order, and fingerprints of their content. Imports neither numpy nor PyAV."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path

from zoo.io.bounded import check_is_file

VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".avi", ".mov", ".gif")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")

SAMPLED_BYTES = 2**20
"""Length in bytes of each of the three parts of a large file that enter its checksum."""


def files_in(folder: Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Files of a folder with these suffixes, in the order of the numbers in their names: 2.png before 10.png."""
    return sorted((path for path in folder.iterdir() if has_suffix(path.name, suffixes)), key=natural_order)


def has_suffix(name: str, suffixes: Collection[str] = IMAGE_SUFFIXES) -> bool:
    """Whether a file name has one of these suffixes; hidden files do not count."""
    return Path(name).suffix.lower() in suffixes and not name.startswith(".")


def natural_order(path: Path) -> list[str | int]:
    """Sort key that compares runs of digits as numbers."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


def stamp_of(path: Path) -> str:
    """Fingerprint of a file, or of the images in a folder, from size and time; it changes when the content does."""
    stats = [part.stat() for part in (files_in(path) if path.is_dir() else [path])]
    return f"{len(stats)}-{sum(s.st_size for s in stats)}-{max((s.st_mtime_ns for s in stats), default=0)}"


def stamp_files(paths: Iterable[Path]) -> str:
    """Fingerprint of a list of files; order and names matter."""
    stats = ((path.name, path.stat()) for path in paths)
    return hashlib.sha256(repr([(name, s.st_size, s.st_mtime_ns) for name, s in stats]).encode()).hexdigest()[:20]


def content_checksum(paths: Iterable[Path]) -> str:
    """Checksum of the bytes of files in their order, 16 hex digits.

    It does not depend on machine, decoder, file name, folder or time. Of a file larger than three MiB, its size and its
    first, middle and last MiB are used: enough to tell two encoded videos apart, and cheaper than decoding them.
    """
    digest = hashlib.sha256()
    for path in paths:
        stat = path.stat()
        digest.update(_digest(path, stat.st_size, stat.st_mtime_ns))
    return digest.hexdigest()[:16]


@lru_cache(maxsize=4096)
def _digest(path: Path, size: int, time: int) -> bytes:
    """Checksum of one file; size and time are part of the cache key."""
    digest = hashlib.sha256(str(size).encode())
    check_is_file(path)
    with path.open("rb") as file:
        if size <= 3 * SAMPLED_BYTES:
            digest.update(file.read())
        else:
            for start in (0, (size - SAMPLED_BYTES) // 2, size - SAMPLED_BYTES):
                file.seek(start)
                digest.update(file.read(SAMPLED_BYTES))
    return digest.digest()
