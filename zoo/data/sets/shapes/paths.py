"""How shapes move: a quartic Bézier curve across the frame. numpy only.

The rule was read off the positions of the 8,000 published clips; every curve that was compared fits them to the pixel.
A curve has five control values. The coordinate that crosses the frame has the two ends of its range as its first and
last value; the other begins and ends at the same random place. The three values between are uniform. Positions are
rounded down.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

from zoo.data.sets.shapes.names import PATH_FRAMES

DEGREE = 4
MARGIN = 1
"""Black pixels that stay free at the left and at the top; at the right and at the bottom it is one more."""


def bernstein_basis(frames: int = PATH_FRAMES) -> NDArray[np.float64]:
    """Weights of the control values at ``frames`` equal steps of time from 0 to 1, (frames, DEGREE + 1)."""
    time = np.linspace(0, 1, frames)[:, None]
    powers = np.arange(DEGREE + 1)
    counts = np.array([comb(DEGREE, power) for power in powers])
    return np.asarray(counts * time**powers * (1 - time) ** (DEGREE - powers))


def draw_path(random: np.random.Generator, motion: int, size: int, height: int, width: int) -> NDArray[np.int64]:
    """Row and column of the top-left corner of a shape in every frame of a path, (PATH_FRAMES, 2).

    motion: 0 goes up, 1 goes left. size: side of the shape in pixels.
    """
    last = [extent - 1 - MARGIN - size for extent in (height, width)]
    controls = np.empty((2, DEGREE + 1))
    controls[motion, [0, -1]] = last[motion], MARGIN
    controls[1 - motion, [0, -1]] = np.rint(random.uniform(MARGIN, last[1 - motion]))
    for axis, limit in enumerate(last):
        controls[axis, 1:-1] = random.uniform(MARGIN + 0.5, limit + 0.5, DEGREE - 1)
    curve = controls @ bernstein_basis().T
    return np.floor(curve + 1e-9).astype(np.int64).T  # the ends are whole numbers, which must not be rounded below
