"""The values of black and white in an array: as typed, or found from some frames. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.sets.arrays.axes import Axes, take_frames
from zoo.data.sets.arrays.stored import StoredArray
from zoo.errors import ZooError

SAMPLED_ARRAYS, SAMPLED_FRAMES = 16, 8
"""Number of arrays, and of frames of each, from which levels are found."""
TOLERANCE = 1 / 255
"""How far beyond black or white a number may be, as a share of their distance: interpolation overshoots. It is
clipped."""


@dataclass(frozen=True)
class Levels:
    """The values of black and of white."""

    black: float
    white: float

    def to_bytes(self, values: NDArray[Any], name: str) -> NDArray[np.uint8]:
        """Map black to 0 and white to 255, rounded. name: of the array, for the error.

        Raises ZooError for a value that is no number, or farther beyond black and white than TOLERANCE.
        """
        if values.dtype == np.uint8 and (self.black, self.white) == (0, 255):
            return values
        shares = (values.astype(np.float32) - np.float32(self.black)) / np.float32(self.white - self.black)
        low, high = float(shares.min()), float(shares.max())
        if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
            raise ZooError(
                f"{name} contains the value {_farthest(values, shares):g}, but black is {self.black:g} and white "
                f"{self.white:g}. Type the values of both, such as data.levels=[0,255]"
            )
        return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def _farthest(values: NDArray[Any], shares: NDArray[np.float32]) -> float:
    distance = np.nan_to_num(np.abs(shares - 0.5), nan=np.inf)
    return float(values.ravel()[int(distance.argmax())])


def find_levels(arrays: Sequence[tuple[StoredArray, Axes]]) -> Levels:
    """Find the levels that all arrays share: 0 and 255, 0 and 1, or -1 and 1.

    8-bit integers have 0 and 255, bools 0 and 1. Raises ZooError if a few frames do not tell.
    """
    kinds = {array.values.dtype.kind for array, _ in arrays}
    if kinds == {"b"}:
        return Levels(0, 1)
    low = high = 0.0
    for frames in _sample(arrays):
        low, high = min(low, float(frames.min())), max(high, float(frames.max()))
    is_float = "f" in kinds
    are_bytes = {array.values.dtype for array, _ in arrays} == {np.dtype(np.uint8)}
    if are_bytes and (high > 1 or high == 0):
        return Levels(0, 255)
    if is_float and -1 <= low < 0 < high <= 1:
        return Levels(-1, 1)
    if is_float and low == 0 and 0 < high <= 1:
        return Levels(0, 1)
    if low == 0 and 1 < high <= 255:
        return Levels(0, 255)
    raise ZooError(
        f"The values of {arrays[0][0].name} are between {low:g} and {high:g} in {SAMPLED_FRAMES} of its frames, which "
        "does not tell what black and white are. Type them, such as data.levels=[0,1] or data.levels=[0,255]"
    )


def _sample(arrays: Sequence[tuple[StoredArray, Axes]]) -> Iterator[NDArray[Any]]:
    """Yield frames, one at a time, spread evenly over arrays, their videos and their frames."""
    for array, axes in arrays[:: max(1, len(arrays) // SAMPLED_ARRAYS)]:
        videos, length = axes.size("N"), axes.size("T")
        for place in range(SAMPLED_FRAMES):
            frame = (length - 1) * place // (SAMPLED_FRAMES - 1)
            frames = take_frames(
                array.values, axes, (videos - 1) * place // (SAMPLED_FRAMES - 1), slice(frame, frame + 1)
            )
            if not np.isfinite(frames).all():
                raise ZooError(f"{array.name} contains values that are no finite numbers. Replace them.")
            yield frames
