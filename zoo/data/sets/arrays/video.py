"""One video of an array, read in slices. Imports no torch.

Shapes: T frames, H x W pixels, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.sets.arrays.axes import Axes, take_frames
from zoo.data.sets.arrays.levels import Levels
from zoo.data.sets.arrays.stored import StoredArray
from zoo.errors import ZooError

MOST_BLOCK = 16
"""Largest number of frames that are read at a time."""
MOST_BYTES = 1 << 26
"""Size of such a block in bytes, 64 MiB, unless a single frame is larger."""


@dataclass(frozen=True)
class ArrayVideo:
    """A video of an array. number: its place along the axis of videos."""

    array: StoredArray
    axes: Axes
    levels: Levels
    number: int

    @property
    def name(self) -> str:
        """Name of the array, and the video's number if there are several."""
        return f"{self.array.name}/{self.number:06d}" if "N" in self.axes.order else self.array.name

    @property
    def path(self) -> Path:
        """The file."""
        return self.array.path

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.axes.size("T")

    def stored(self, fps: float) -> NDArray[np.int64]:
        """Numbers of the stored frames, (length,): every frame is used, whatever the frame rate."""
        return np.arange(self.length)

    def stamp_of(self, kind: str) -> str:
        """Fingerprint of the file and of how it is read."""
        return f"{self.array.stamp} {self.axes.order} {self.levels.black} {self.levels.white}"

    def decode_start(self, kind: str, number: int) -> int:
        """Every frame is read by itself."""
        return number

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """The file, or some of those of a folder."""
        return list(self.array.parts)

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read frames by ascending number, (H, W, 3) uint8. Raises ZooError for values that are no colours."""
        size = self.axes.size("H") * self.axes.size("W") * 3 * self.array.values.dtype.itemsize
        block = max(1, min(MOST_BLOCK, MOST_BYTES // size))
        first = stop = 0
        frames: NDArray[np.uint8] = np.empty((0, 0, 0, 3), np.uint8)
        for number in map(int, numbers):
            if not first <= number < stop:
                first, stop = number, min(number + block, int(numbers[-1]) + 1)
                frames = self._read_block(first, stop)
            yield frames[number - first]

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a frame's map; arrays have none."""
        return self.path

    def _read_block(self, first: int, stop: int) -> NDArray[np.uint8]:
        try:
            values = take_frames(self.array.values, self.axes, self.number, slice(first, stop))
        except (OSError, ValueError, RuntimeError) as problem:
            raise ZooError(
                f"{self.array.name}: frames {first} to {stop - 1} cannot be read: {problem}. Copy the file again."
            ) from problem
        colours = self.levels.to_bytes(values, self.name)
        return np.repeat(colours, 3, axis=-1) if colours.shape[-1] == 1 else colours
