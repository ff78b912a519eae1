"""Find videos that are there twice: links to one file, and copies of it. Imports no torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo.data.sequences.files import content_checksum


def find_links(files: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """Map each video that consists of the same files on the disk as an earlier one to the name of that one.

    files: by name of the video, its files in order.
    """
    seen: dict[tuple[tuple[int, int], ...], str] = {}
    firsts = {}
    for name, paths in files.items():
        stats = (path.stat() for path in paths)
        firsts[name] = seen.setdefault(tuple((each.st_dev, each.st_ino) for each in stats), name)
    return {name: first for name, first in firsts.items() if first != name}


def find_copies(files: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """Map each video whose files have the bytes of an earlier one to the name of that one.

    files: as for `find_links`. Only files of equal sizes are read.
    """
    alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, paths in files.items():
        alike[tuple(path.stat().st_size for path in paths)].append(name)
    copies = {}
    for names in alike.values():
        if len(names) > 1:
            seen: dict[str, str] = {}
            for name in names:
                first = seen.setdefault(content_checksum(files[name]), name)
                if first != name:
                    copies[name] = first
    return copies


def describe_copies(copies: Mapping[str, str], splits: Mapping[str, str] | None = None) -> list[str]:
    """Sentence about copies, if there are any. splits: the split of each video, unless they are split in time."""
    if not copies:
        return []
    apart = [name for name, first in copies.items() if splits and splits.get(name) != splits.get(first)]
    name = next(iter(apart or copies))
    where = f" {len(apart)} of them are in another split, so validation measures what was trained on." if apart else ""
    return [f"{len(copies)} videos have the content of another one, e.g. {name} that of {copies[name]}.{where}"]
