"""What can be told of a video from a few of its frames, and what is worth a second look. Imports no torch.

Swapped red and blue is not among it: tried on two real clips, a test for skin colours suspected one whose channels
were right and passed one whose channels were swapped. That is left to the eye, on the contact sheet.

Shapes: T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOOKS = 8
"""Frames looked at, spread over the video."""
RUN = 16
"""Consecutive frames looked at, in the middle of the video."""
BAR_LEVEL = 24
"""No pixel of a black bar is brighter, in levels of 255."""
LIMITED_RANGE = (14, 237)
"""Where values stay when the range 16 to 235 of a file was not expanded, with room for rounding."""


@dataclass(frozen=True)
class Statistics:
    """Of one video. Levels are those of 0 to 255.

    lowest, highest, mean: of all values. repeats: share of consecutive frames that equal the one before.
    bars: shares of the height (above and below) and the width (left and right) that are black in every frame.
    falling_light: how much brighter the upper third is than the lower. upper_texture: mean difference between
    neighbouring pixels in the upper third, over that in the lower.
    """

    lowest: int
    highest: int
    mean: float
    repeats: float
    bars: tuple[float, float]
    falling_light: float
    upper_texture: float

    def suspicions(self) -> list[str]:
        """What is worth a look, in a few words each."""
        low, high = LIMITED_RANGE
        found = {
            f"values stay within {self.lowest} to {self.highest}: range never expanded?": (
                self.lowest >= low and self.highest <= high and self.highest - self.lowest > 150
            ),
            f"{self.repeats:.0%} of frames repeat the one before: true rate is lower": 0.2 < self.repeats < 1,
            "does not move": self.repeats == 1,
            f"black bars, {self.bars[0]:.0%} of the height": self.bars[0] > 0.04,
            f"black bars, {self.bars[1]:.0%} of the width": self.bars[1] > 0.04,
            "bright and smooth below, dark above: upside down?": (
                self.falling_light < -40 and self.upper_texture > 1.2
            ),
        }
        return [words for words, suspected in found.items() if suspected]


def statistics(spread: Sequence[NDArray[np.uint8]], run: Sequence[NDArray[np.uint8]]) -> Statistics:
    """From frames spread over a video and frames that follow each other, each (H, W, 3)."""
    looks = _thinned(spread)
    grey = looks.mean(axis=3, dtype=np.float32)
    third = max(1, grey.shape[1] // 3)
    upper, lower = grey[:, :third], grey[:, -third:]
    brightest = looks.max(axis=(0, 3))
    return Statistics(
        lowest=int(looks.min()),
        highest=int(looks.max()),
        mean=float(looks.mean()),
        repeats=_repeats(_thinned(run)),
        bars=(_dark_margin(brightest.max(axis=1)), _dark_margin(brightest.max(axis=0))),
        falling_light=float(upper.mean() - lower.mean()),
        upper_texture=_texture(upper) / max(_texture(lower), 1e-6),
    )


def _thinned(frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """(T, H, W, 3), every n-th pixel, so that the shorter side is below 512; all of the first one's size."""
    height, width, _ = frames[0].shape
    step = max(1, min(height, width) // 256)
    return np.stack([frame[::step, ::step] for frame in frames if frame.shape == frames[0].shape])


def _repeats(run: NDArray[np.uint8]) -> float:
    """Coding noise moves a repeated frame by less than half a level on average."""
    if len(run) < 2:
        return 0.0
    change = np.abs(np.diff(run.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))
    return float((change < 0.1).mean())


def _dark_margin(brightest: NDArray[np.uint8]) -> float:
    """Share of rows (or columns) before the first and after the last bright one; none if all is dark."""
    bright = np.flatnonzero(brightest > BAR_LEVEL)
    return 1 - (bright[-1] - bright[0] + 1) / len(brightest) if len(bright) else 0.0


def _texture(grey: NDArray[np.float32]) -> float:
    return float(np.abs(np.diff(grey, axis=2)).mean())
