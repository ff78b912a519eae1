"""Lists of videos in the format of UCF-101's splits: `<class>/<video> [number of the class]` per line. No torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from zoo.data.sequences.labelled import abbreviate
from zoo.errors import ZooError
from zoo.io.bounded import read_bounded
from zoo.types import Split

if TYPE_CHECKING:
    from zoo.data.sets.classes.config import ClassesConfig

CLASS_NUMBER = re.compile(r"\s+\d+$")


def read_lists(config: ClassesConfig, root: Path, names: Sequence[str]) -> tuple[dict[str, Split], list[str]]:
    """Read the split of each listed video; returns notes about names that were not found too.

    Without a list of training videos, all others are for training; with that list alone, all others are for
    validation; with more lists than that, others are not used. Raises ZooError if a video is in two lists, or if a list
    names no video that exists.
    """
    lists: dict[Split, str | None] = {
        "train": config.train_list,
        "val": config.val_list,
        "test": config.test_list,
    }
    splits: dict[str, Split] = {}
    sentences = []
    for split, typed in lists.items():
        if not typed:
            continue
        listed, unknown = _match_names(_read_lines(_find_list(split, typed, root)), names)
        setting = f"data.{split}_list={typed}"
        if not listed:
            raise ZooError(
                f"{setting} names no video in data.root={config.root}. It begins with {abbreviate(unknown[:3])}; the "
                f"root has {abbreviate(list(names)[:3])}."
            )
        if unknown:
            total = len(listed) + len(unknown)
            sentences.append(f"{len(unknown)} of {total} names in {setting} were not found: {abbreviate(unknown)}.")
        if both := sorted(name for name in listed if name in splits):
            raise ZooError(
                f"{len(both)} videos are in both data.{splits[both[0]]}_list={lists[splits[both[0]]]} and {setting}: "
                f"{abbreviate(both)}. Remove each from one of them."
            )
        splits |= dict.fromkeys(listed, split)
    if lists["train"] and (lists["val"] or lists["test"]):
        unused = len(names) - len(splits)
        return splits, sentences + ([f"{unused} videos are in no list and are not used."] if unused else [])
    rest: Split = "val" if lists["train"] else "train"
    return {name: splits.get(name, rest) for name in names}, sentences


def _find_list(split: Split, typed: str, root: Path) -> Path:
    """Find a list: as typed, inside the root, or beside it. Raises ZooError if there is none."""
    places = [Path(typed).expanduser(), root / typed, root.parent / typed]
    for place in places:
        if place.is_file():
            return place
    searched = ", ".join(dict.fromkeys(str(place) for place in places))
    raise ZooError(f"data.{split}_list={typed}: there is no such file. Searched: {searched}.")


def _read_lines(path: Path) -> list[str]:
    try:
        text = read_bounded(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise ZooError(f"{path} cannot be read as a list of videos: {problem}.") from problem
    lines = [CLASS_NUMBER.sub("", line.strip().replace("\\", "/")) for line in text.splitlines()]
    return list(dict.fromkeys(line.removeprefix("./") for line in lines if line))


def _match_names(lines: Sequence[str], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of listed videos, and lines without a match. Suffixes may differ: many re-encode videos."""
    exact = set(names)
    stems = {str(PurePosixPath(name).with_suffix("")): name for name in names}
    found, unknown = [], []
    for line in lines:
        name = line if line in exact else stems.get(str(PurePosixPath(line).with_suffix(""))) or stems.get(line)
        if name is None:
            unknown.append(line)
        else:
            found.append(name)
    return list(dict.fromkeys(found)), unknown
