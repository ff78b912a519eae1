"""Pair files by their names: a frame with its maps. Imports neither numpy nor PyAV.

Names need not be equal. `0001.jpg` belongs to `0001_keypoints.json`, and `aachen_000003_leftImg8bit.png` to
`aachen_000003_gtFine_labelIds.png`: what all names of one kind begin and end with does not count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from zoo.data.sequences.files import NUMBER
from zoo.errors import ZooError, joined

MAX_NAMES = 5
"""Maximal number of names in a message."""

Key = tuple[str | int, ...]
MakeKeys = Callable[[Sequence[str]], list[Key]]


def pair_files(files: Mapping[str, Sequence[Path]], first: str) -> dict[str, tuple[Path, ...]]:
    """Order the files of every kind as those of the kind ``first``, each beside those of its name.

    Raises ZooError, naming the files, if one has no partner or if two have the same name.
    """
    order = files[first]
    return {
        kind: tuple(order) if kind == first else tuple(_pair(order, first, found, kind))
        for kind, found in files.items()
    }


def match_numbers(count: int, maps: Sequence[Path], video: Path, kind: str) -> None:
    """Check that maps in natural order can belong to the ``count`` frames of a video file, which have no names.

    Raises ZooError for another number of maps, and for a gap in their numbers: a map is missing there, and the later
    ones would be shifted.
    """
    folder = maps[0].parent if maps else video
    if len(maps) != count:
        raise ZooError(
            f"{video} has {count} frames, but {folder} has {len(maps)} images of {kind}. Provide one per frame."
        )
    numbers = last_numbers(maps)
    steps = Counter(b - a for a, b in pairwise(numbers))
    if len(steps) > 1:
        usual = steps.most_common(1)[0][0]
        place = next(i for i, (a, b) in enumerate(pairwise(numbers)) if b - a != usual)
        raise ZooError(
            f"{folder} has {count} images of {kind}, as many as {video} has frames, but their numbers have a gap: "
            f"{maps[place + 1].name} follows {maps[place].name}. Provide the missing ones, and number all in steps of "
            f"{usual}."
        )


def is_gapless(paths: Sequence[Path]) -> bool:
    """Whether the names of files in natural order count up by one."""
    numbers = last_numbers(paths)
    return bool(numbers) and all(b - a == 1 for a, b in pairwise(numbers))


def last_numbers(paths: Sequence[Path]) -> list[int]:
    """The number of each name that counts, the last one that is not part of what all names end with; empty if one name
    has none."""
    found = [[part for part in key if isinstance(part, int)] for key in _without_common_parts([p.stem for p in paths])]
    return [each[-1] for each in found] if all(found) else []


def _pair(frames: Sequence[Path], first: str, others: Sequence[Path], kind: str) -> list[Path]:
    attempts = [(_keys(frames, make), _keys(others, make)) for make in (_exact, _numbered, _without_common_parts)]
    for ours, theirs in attempts:
        if ours is not None and theirs is not None and ours.keys() == theirs.keys():
            return [theirs[key] for key in ours]
    raise ZooError(_explain(frames, first, others, kind, attempts))


def _explain(
    frames: Sequence[Path],
    first: str,
    others: Sequence[Path],
    kind: str,
    attempts: Sequence[tuple[dict[Key, Path] | None, dict[Key, Path] | None]],
) -> str:
    where = frames[0].parent if frames else others[0].parent
    lead = f"{where} has {len(frames)} files of {first}, {len(others)} of {kind}. They are paired by their names, but "
    usable = [(ours, theirs) for ours, theirs in attempts if ours is not None and theirs is not None]
    if not usable:
        doubled = _doubled(frames) or _doubled(others)
        return f"{lead}{joined(path.name for path in doubled)} in {doubled[0].parent} have one name. Keep one of them."
    ours, theirs = max(usable, key=lambda each: len(each[0].keys() & each[1].keys()))
    alone = [path for key, path in ours.items() if key not in theirs]
    unmatched = [path for key, path in theirs.items() if key not in ours]
    parts = [
        f"{abbreviate_names(each)} of {name} {'has' if len(each) == 1 else 'have'} no partner"
        for name, each in ((first, alone), (kind, unmatched))
        if each
    ]
    return f"{lead}{' and '.join(parts)}. Provide one {kind} file for every frame, under its name, or remove those."


def _doubled(paths: Sequence[Path]) -> list[Path]:
    counts = Counter(path.stem.casefold() for path in paths)
    return [path for path in paths if counts[path.stem.casefold()] > 1][:MAX_NAMES]


def abbreviate_names(paths: Sequence[Path]) -> str:
    """Names of files for a message, and how many more there are."""
    more = f" and {len(paths) - MAX_NAMES} more" if len(paths) > MAX_NAMES else ""
    return joined(path.name for path in paths[:MAX_NAMES]) + more


def _keys(paths: Sequence[Path], make: MakeKeys) -> dict[Key, Path] | None:
    """Map the key of every file to it; None if two files have one key."""
    found = dict(zip(make([path.stem for path in paths]), paths, strict=True))
    return found if len(found) == len(paths) else None


def _exact(stems: Sequence[str]) -> list[Key]:
    return [(stem,) for stem in stems]


def _numbered(stems: Sequence[str]) -> list[Key]:
    """Letters without their case, and numbers without leading zeros."""
    return [_natural(stem) for stem in stems]


def _without_common_parts(stems: Sequence[str]) -> list[Key]:
    """Like `_numbered`, without what all names begin and end with; no number is cut."""
    folded = [stem.casefold() for stem in stems]
    begin = re.sub(r"\d+$", "", _common_beginning(folded))
    rest = [stem[len(begin) :] for stem in folded]
    end = re.sub(r"^\d+", "", _common_beginning([stem[::-1] for stem in rest])[::-1])
    return [_natural(stem.removesuffix(end) if end else stem) for stem in rest]


def _common_beginning(words: Sequence[str]) -> str:
    first, last = min(words, default=""), max(words, default="")
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]


def _natural(stem: str) -> Key:
    return tuple(int(part) if part.isdecimal() else part.casefold() for part in NUMBER.split(stem))
