"""Files of a folder in order, and fingerprints of their content. Imports neither numpy nor PyAV."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from zoo.io.bounded import check_is_file

VIDEO_SUFFIXES = (
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".divx",
    ".mpg",
    ".mpeg",
    ".m2v",
    ".vob",
    ".ts",
    ".mts",
    ".m2ts",
    ".wmv",
    ".asf",
    ".flv",
    ".f4v",
    ".3gp",
    ".3g2",
    ".ogv",
    ".dv",
    ".gif",
)
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")

SAMPLED_BYTES = 2**20
"""Length in bytes of each of the three parts of a large file that enter its checksum."""
SETTLED_NS = 2_000_000_000
"""A listing is kept if its folder was last changed this long ago: the clock of a file system may be as coarse."""
NUMBER = re.compile(r"(\d+)")
DECIMAL = re.compile(r"\d+\.\d+")


def files_in(folder: Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Files of a folder with these suffixes in natural order, see `sort_naturally`.

    The listing of a folder that has not changed is kept: one of 20,000 frames takes half a second.
    """
    changed = folder.stat().st_mtime_ns
    read = _list_files if time.time_ns() - changed > SETTLED_NS else _list_files.__wrapped__
    return list(read(folder, changed, tuple(suffixes)))


@lru_cache(maxsize=64)
def _list_files(folder: Path, changed: int, suffixes: tuple[str, ...]) -> tuple[Path, ...]:
    """List a folder; ``changed``, the time of its last change, is part of the cache key."""
    return tuple(sort_naturally([path for path in folder.iterdir() if has_suffix(path.name, suffixes)]))


def has_suffix(name: str, suffixes: Collection[str] = IMAGE_SUFFIXES) -> bool:
    """Whether a file name has one of these suffixes; hidden files do not count."""
    return Path(name).suffix.lower() in suffixes and not name.startswith(".")


def sort_naturally(paths: Sequence[Path]) -> list[Path]:
    """Sort paths by the numbers in their names, whatever the case: 2.png before 10.png, frame1 before Frame2.

    Numbers with a point are decimal fractions if all names together say so (0.04 before 0.1), see `_are_decimals`;
    otherwise they are two numbers (1.2 before 1.10).
    """
    if _are_decimals([path.stem for path in paths]):
        return sorted(paths, key=lambda path: (_decimal_order(path.name), path.name))
    return sorted(paths, key=lambda path: (natural_order(path), path.name))


def natural_order(path: Path) -> list[str | int]:
    """Sort key that compares runs of digits as numbers, and letters without their case."""
    return [int(part) if part.isdecimal() else part.casefold() for part in NUMBER.split(path.name)]


def _decimal_order(name: str) -> list[str | float]:
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [float(part) if number % 2 else part.casefold() for number, part in enumerate(parts)]


def _are_decimals(stems: Sequence[str]) -> bool:
    """Whether ``1.5`` in these names is a fraction, as times are written, and not 5 of 1.

    Fractions of different lengths are, unless one ends in 0, which no program writes, or unless those of every whole
    number count 0, 1, 2, … or 1, 2, 3, … without a gap.
    """
    found = [match[0].split(".") for stem in stems if (match := DECIMAL.search(stem))]
    fractions = {part for _, part in found}
    if len({len(part) for part in fractions}) < 2 or any(len(part) > 1 and part.endswith("0") for part in fractions):
        return False
    if any(len(part) > 1 and part.startswith("0") for part in fractions):
        return True
    counted: dict[str, set[int]] = {}
    for whole, part in found:
        counted.setdefault(whole, set()).add(int(part))
    return any(max(each) - min(each) >= len(each) or min(each) > 1 for each in counted.values())


def stamp_of(path: Path) -> str:
    """Fingerprint of a file, or of the images in a folder: names in order, sizes and times."""
    return stamp_files(files_in(path) if path.is_dir() else [path])


def stamp_files(paths: Iterable[Path]) -> str:
    """Fingerprint of a list of files; order and names matter."""
    stats = ((path.name, path.stat()) for path in paths)
    return hashlib.sha256(repr([(name, s.st_size, s.st_mtime_ns) for name, s in stats]).encode()).hexdigest()[:20]


def describe_files(paths: Iterable[Path]) -> str:
    """Number and bytes of files, and a checksum of their names and sizes; no times."""
    sizes = [(path.name, path.stat().st_size) for path in paths]
    names = hashlib.sha256(repr(sizes).encode(errors="surrogateescape")).hexdigest()[:12]
    return f"{len(sizes)} files, {sum(size for _, size in sizes)} bytes, names {names}"


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
