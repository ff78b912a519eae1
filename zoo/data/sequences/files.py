"""The files of a folder in their order, and what tells one content from another. Looks at names, opens nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from zoo.data.decode import IMAGE_SUFFIXES


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
