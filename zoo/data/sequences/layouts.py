"""Explain a folder that does not have the expected layout, and suggest the nearest one that matches. No torch."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from zoo.data.base import DATA_SETS
from zoo.data.sequences.config import SequenceConfig
from zoo.data.sequences.find import find_videos
from zoo.errors import ZooError, joined

MAX_NAMES = 8
"""Maximal number of names of a folder's entries in a message."""


def explain_wrong_layout(config: SequenceConfig, root: Path) -> ZooError:
    """Build the error for a root without the layout's folders: what was searched, what was found, what to type."""
    marks = " or ".join(config.layout.marks)
    names = sorted(path.name + "/" * path.is_dir() for path in root.iterdir() if not path.name.startswith("."))
    there = joined(names[:MAX_NAMES]) + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")
    return ZooError(
        f"data={config.name}: data.root={root} does not contain {marks}. It takes {config.layout.text}. "
        f"Found there: {there or 'nothing'}. {_suggest_layout(config.name, root)}".rstrip()
    )


def _suggest_layout(requested: str, root: Path) -> str:
    """Suggest the command that would work; an empty string if there is none."""
    for place in _candidate_roots(root):
        for name, marks in _list_layouts(first=requested):
            if any((place / mark).is_dir() for mark in marks):
                where = "This is" if place == root else f"{place} is"
                return f"{where} in the layout of `{name}`: type {shlex.join([f'data={name}', f'data.root={place}'])}."
    videos = find_videos(root).videos
    if videos:
        words = shlex.join(["data=folder", f"data.root={root}"])
        return f"This is a folder of videos ({len(videos)} of them): type {words}."
    return ""


def _candidate_roots(root: Path) -> Iterator[Path]:
    """Yield the root, three folders above it, and those below it."""
    whole = root.resolve()
    yield root
    yield from list(whole.parents)[:3]
    yield from sorted(path for path in root.iterdir() if path.is_dir())


def _list_layouts(first: str) -> list[tuple[str, tuple[str, ...]]]:
    """Names and marks of all layouts, the requested one first."""
    kinds = [entry for entry in DATA_SETS.entries() if issubclass(entry.config, SequenceConfig)]
    kinds.sort(key=lambda entry: entry.card.name != first)
    return [(entry.card.name, entry.config.layout.marks) for entry in kinds]
