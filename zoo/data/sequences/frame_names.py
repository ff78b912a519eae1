"""Which images of a folder are the frames of its video: those that are named like most. Imports no torch."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.data.sequences.files import files_in
from zoo.data.sequences.pairing import abbreviate_names
from zoo.errors import ZooError

NUMBER = re.compile(r"\d+(?:\.\d+)?")
LEAST_STRIP, LEAST_SIDE = 6, 8
"""An image is taken for a strip if it is this many squares long, each of at least so many pixels a side."""
FEW = 0.1
"""Images that are named otherwise are left out if they are at most this share of the frames, or a single one."""


@dataclass(frozen=True)
class Frames:
    """The frames of a folder in order, and its images that are none, such as `cover.jpg`."""

    files: tuple[Path, ...]
    left_out: tuple[Path, ...] = ()

    def describe_left_out(self) -> str:
        """Sentence about the images that are left out; "" if there are none."""
        if not self.left_out:
            return ""
        return (
            f"{self.left_out[0].parent}: {abbreviate_names(self.left_out)} left out, not named like the "
            f"{len(self.files)} frames, such as {self.files[0].name}."
        )


def frames_in(folder: Path) -> Frames:
    """The frames of a folder. Raises ZooError for a folder with two kinds of images, such as frames and their masks."""
    return choose_frames(files_in(folder))


def choose_frames(images: Sequence[Path]) -> Frames:
    """Choose the images that are named like most of them: with numbers at the same places.

    Images of another pattern whose numbers are new continue the video. Raises ZooError if many of them repeat its
    numbers: they show something else at the same times.
    """
    patterns: dict[str, list[Path]] = defaultdict(list)
    for path in images:
        patterns[NUMBER.sub("#", path.stem.casefold())].append(path)
    numbered = sorted((name for name in patterns if "#" in name), key=lambda name: -len(patterns[name]))
    if len(patterns) == 1 or not numbered:
        return Frames(tuple(images))
    main = patterns[numbered[0]]
    few = max(1, FEW * len(main))
    times = set(map(_numbers, main))
    left_out = [path for name, found in patterns.items() if "#" not in name for path in found]
    if len(left_out) > few:
        left_out = []
    for name in numbered[1:]:
        again = [path for path in patterns[name] if _numbers(path) in times]
        if len(again) > few:
            raise ZooError(
                f"{images[0].parent} contains two kinds of images with the same numbers, such as {again[0].name} and "
                f"{main[0].name}. Move one of them into a folder of its own."
            )
        left_out += again
        times |= set(map(_numbers, patterns[name]))
    unused = set(left_out)
    return Frames(tuple(path for path in images if path not in unused), tuple(left_out))


def refuse_strips(folder: Path, height: int, width: int) -> None:
    """Raise ZooError for images whose shape is that of a strip: a whole video, its frames in one image."""
    short, long = sorted((height, width))
    if long >= LEAST_STRIP * short and long % short == 0 and short >= LEAST_SIDE:
        where = "side by side" if width > height else "one above the other"
        raise ZooError(
            f"{folder} contains images of {width}x{height} pixels (width x height). Each looks like a strip: a whole "
            f"video, {long // short} frames {where}. Type data=strips data.root=<the folder above it>"
        )


def _numbers(path: Path) -> tuple[float, ...]:
    return tuple(float(match[0]) for match in NUMBER.finditer(path.stem))
