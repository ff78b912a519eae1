"""Frames and exact ground truth of digits at known positions. numpy only.

Shapes: T frames, J digits, S pixels a side of a digit, H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Rendering:
    """What a clip shows.

    pictures: (J, S, S) in [0, 1]. positions: (J, T, 2), x and y of the top-left corners; digits never leave the frame.
    added: pixels of overlapping digits are added and clipped to 1; otherwise the brightest is in front.
    """

    pictures: Floats
    positions: Ints
    height: int
    width: int
    added: bool

    @cached_property
    def ink(self) -> Floats:
        """Each digit alone, (J, T, H, W) in [0, 1]."""
        count, frames = self.positions.shape[:2]
        size = self.pictures.shape[-1]
        alone = np.zeros((count, frames, self.height, self.width), np.float32)
        for digit, picture in enumerate(self.pictures):
            for t, (x, y) in enumerate(self.positions[digit].tolist()):
                alone[digit, t, y : y + size, x : x + size] = picture
        return alone

    @property
    def frames(self) -> Floats:
        """The frames, (T, H, W) in [0, 1]."""
        return np.minimum(self.ink.sum(0), np.float32(1)) if self.added else self.ink.max(0)

    @cached_property
    def instances(self) -> Ints:
        """Number of the brightest digit at each pixel, from 1, the first of equal ones; 0 is background; (T, H, W)."""
        brightest = self.ink[0]
        numbers = (brightest > 0).astype(np.int64)
        for digit in range(1, len(self.ink)):
            numbers[self.ink[digit] > brightest] = digit + 1
            brightest = np.maximum(brightest, self.ink[digit])
        return numbers

    @cached_property
    def mixed(self) -> Bools:
        """Pixels whose value is the sum of several digits, (T, H, W)."""
        return (self.ink > 0).sum(0) > 1 if self.added else np.zeros(self.instances.shape, bool)

    def labels(self, classes: NDArray[np.uint8]) -> Ints:
        """Class at each pixel, (T, H, W): 0 is background, else one more than the digit. classes: (J,), 0 to 9."""
        return np.concatenate([[0], classes.astype(np.int64) + 1])[self.instances]

    @property
    def flow(self) -> Floats:
        """Backward flow in pixels, (T-1, 2, H, W): that of the digit at each pixel; the background stands still."""
        moved = (self.positions[:, :-1] - self.positions[:, 1:]).astype(np.float32)[
            ..., None, None
        ]  # (J, T-1, 2, 1, 1)
        shown = self.instances[1:, None]
        return np.stack([offset * (shown == number) for number, offset in enumerate(moved, start=1)]).sum(0)

    @property
    def visibility(self) -> Floats:
        """1 where the source pixel shows the same digit (or background), and neither pixel is mixed: there, warping the
        earlier frame gives this one exactly; (T-1, 1, H, W)."""
        shown = np.where(self.mixed, -1, self.instances)
        seen = (shown[:-1] == 0) & (shown[1:] == 0)
        size = self.pictures.shape[-1]
        for number, path in enumerate(self.positions.tolist(), start=1):
            for t, ((x0, y0), (x1, y1)) in enumerate(pairwise(path)):
                before = shown[t, y0 : y0 + size, x0 : x0 + size] == number
                now = shown[t + 1, y1 : y1 + size, x1 : x1 + size] == number
                seen[t, y1 : y1 + size, x1 : x1 + size] |= before & now
        return seen[:, None].astype(np.float32)

    @property
    def centres(self) -> Floats:
        """Centre of each digit in pixels and a confidence of 1, (T, J, 3)."""
        centre = self.positions.swapaxes(0, 1) + (self.pictures.shape[-1] - 1) / 2
        return np.concatenate([centre, np.ones_like(centre[..., :1])], -1).astype(np.float32)
