"""Statistics of a video from a few of its frames, and possible problems that they reveal. Imports no torch.

Swapped red and blue channels are not detected: on two real clips, a test for skin colours flagged one whose channels
were right and passed one whose channels were swapped. That is left to the eye, on the contact sheet.

Shapes: T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPREAD_FRAMES = 8
"""Number of frames examined, spread over the video."""
CONSECUTIVE_FRAMES = 16
"""Number of consecutive frames examined, in the middle of the video."""
BAR_LEVEL = 24
"""Maximal level of a pixel in a black bar, of 255."""
LIMITED_RANGE = (14, 237)
"""Range of the levels of a file whose range 16 to 235 was not expanded, with a margin for rounding."""


@dataclass(frozen=True)
class Statistics:
    """Statistics of one video. Levels are 0 to 255.

    lowest, highest, mean: of all values. repeats: share of consecutive frames that equal the previous one. bars: shares
    of the height (above and below) and of the width (left and right) that are black in every frame. falling_light: mean
    level of the upper third minus that of the lower third. upper_texture: mean difference of neighbouring pixels in the
    upper third, divided by that in the lower third.
    """

    lowest: int
    highest: int
    mean: float
    repeats: float
    bars: tuple[float, float]
    falling_light: float
    upper_texture: float

    def possible_problems(self) -> list[str]:
        """Possible problems of the video, a few words each."""
        low, high = LIMITED_RANGE
        found = {
            f"values stay within {self.lowest} to {self.highest}: range not expanded?": (
                self.lowest >= low and self.highest <= high and self.highest - self.lowest > 150
            ),
            f"{self.repeats:.0%} of frames repeat the one before: true frame rate is lower": 0.2 < self.repeats < 1,
            "no motion": self.repeats == 1,
            f"black bars, {self.bars[0]:.0%} of the height": self.bars[0] > 0.04,
            f"black bars, {self.bars[1]:.0%} of the width": self.bars[1] > 0.04,
            "bright and smooth below, dark above: upside down?": (
                self.falling_light < -40 and self.upper_texture > 1.2
            ),
        }
        return [problem for problem, is_present in found.items() if is_present]


def compute_statistics(spread: Sequence[NDArray[np.uint8]], run: Sequence[NDArray[np.uint8]]) -> Statistics:
    """Compute statistics from frames spread over a video and from consecutive frames, each (H, W, 3)."""
    frames = _subsample(spread)
    grey = frames.mean(axis=3, dtype=np.float32)
    third = max(1, grey.shape[1] // 3)
    upper, lower = grey[:, :third], grey[:, -third:]
    brightest = frames.max(axis=(0, 3))
    return Statistics(
        lowest=int(frames.min()),
        highest=int(frames.max()),
        mean=float(frames.mean()),
        repeats=_share_repeated(_subsample(run)),
        bars=(_dark_margin(brightest.max(axis=1)), _dark_margin(brightest.max(axis=0))),
        falling_light=float(upper.mean() - lower.mean()),
        upper_texture=_texture(upper) / max(_texture(lower), 1e-6),
    )


def _subsample(frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Stack the frames that have the size of the first, (T, H, W, 3), every n-th pixel so the shorter side is below
    512."""
    height, width, _ = frames[0].shape
    step = max(1, min(height, width) // 256)
    return np.stack([frame[::step, ::step] for frame in frames if frame.shape == frames[0].shape])


def _share_repeated(run: NDArray[np.uint8]) -> float:
    """Share of frames that repeat the previous one: coding noise changes them by less than half a level on average."""
    if len(run) < 2:
        return 0.0
    change = np.abs(np.diff(run.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))
    return float((change < 0.1).mean())


def _dark_margin(brightest: NDArray[np.uint8]) -> float:
    """Share of rows (or columns) before the first and after the last bright one; 0 if all are dark."""
    bright = np.flatnonzero(brightest > BAR_LEVEL)
    return 1 - (bright[-1] - bright[0] + 1) / len(brightest) if len(bright) else 0.0


def _texture(grey: NDArray[np.float32]) -> float:
    return float(np.abs(np.diff(grey, axis=2)).mean())
