"""What a folder looks like, when it does not look as asked: the nearest layout that would match. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zoo.data.base import DATA_SETS
from zoo.data.sequences.config import SequenceConfig
from zoo.data.sequences.find import find_videos
from zoo.errors import ZooError, listed

SHOWN = 8
"""Names of what a folder holds, in a sentence."""


def wrong_layout(config: SequenceConfig, root: Path) -> ZooError:
    """None of the layout's marks stands under the root: what was searched, what is there, what to type."""
    marks = " or ".join(config.layout.marks)
    names = sorted(path.name + "/" * path.is_dir() for path in root.iterdir() if not path.name.startswith("."))
    there = listed(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return ZooError(
        f"data={config.name} searched data.root={root} for {marks}; none is there. It takes {config.layout.text}. "
        f"Found there: {there or 'nothing'}. {_nearest(config.name, root)}".rstrip()
    )


def _nearest(asked: str, root: Path) -> str:
    """A sentence with the command that would work, or nothing."""
    for place in _places(root):
        for name, marks in _known(first=asked):
            if any((place / mark).is_dir() for mark in marks):
                where = "This is" if place == root else f"{place} is"
                return f"{where} in the layout of `{name}`: type data={name} data.root={place}."
    videos = find_videos(root).videos
    if videos:
        return f"This is a folder of videos ({len(videos)} of them): type data=folder data.root={root}."
    return ""


def _places(root: Path) -> Iterator[Path]:
    """The root, the folders above it if it is too deep, those below if it is not deep enough."""
    whole = root.resolve()
    yield root
    yield from list(whole.parents)[:3]
    yield from sorted(path for path in root.iterdir() if path.is_dir())


def _known(first: str) -> list[tuple[str, tuple[str, ...]]]:
    """Name and marks of every layout, the one that was asked for before the others."""
    kinds = [entry for entry in DATA_SETS.entries() if issubclass(entry.config, SequenceConfig)]
    kinds.sort(key=lambda entry: entry.card.name != first)
    return [(entry.card.name, entry.config.layout.marks) for entry in kinds]
