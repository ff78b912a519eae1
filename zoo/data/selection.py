"""Choose which clips of a split are measured. Imports no torch.

Files are read in sorted order, so the first clips of a set that is sorted by class show the first classes only.
"""

from __future__ import annotations

from collections.abc import Sequence

from zoo.randomness import number_of

FIRST = "first"
"""The first clips, for sets whose clips are in random order already."""
SPREAD = "spread"
"""Clips spread evenly over the split."""

RANDOM_CLIP = "random-clip"
"""Of the first videos in sorted order that are long enough, one clip each, which starts at a random frame."""

GOLDEN = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio, rounded to an odd number."""


def random_start(video: str, length: int, frames: int, seed: int) -> int:
    """First frame of the clip of a video under the rule RANDOM_CLIP, 0 to ``length`` - ``frames``, all equally likely.

    It depends on the name of the video and the seed alone, not on the other videos.
    """
    assert frames <= length
    return number_of(video, seed) % (length - frames + 1)


def choose_clips(rule: str, available: int, count: int) -> Sequence[int]:
    """Numbers of the clips to measure, ``count`` of ``available``, in the order in which they are measured.

    The first n of the numbers are those that are chosen for n clips. `spread` takes the clips i with the smallest
    fractional parts of i times the golden ratio. Their gaps have at most three lengths (Steinhaus' three-gap theorem),
    none above 2 ``available`` / ``count``, so each of k equal classes is met with 2 k clips.
    """
    assert count <= available
    assert rule in (FIRST, SPREAD), rule
    if rule == FIRST:
        return range(count)
    return sorted(range(available), key=lambda number: number * GOLDEN % 2**64)[:count]
