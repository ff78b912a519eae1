"""One strip as a video. Imports no torch.

Shapes: T frames, S pixels a side of a frame, h x w pixels of the strip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import image_size, read_image
from zoo.data.sequences.files import stamp_of
from zoo.errors import ZooError

LEAST_SIDE = 8
"""Least side of a frame in pixels: one of a single pixel would make an image a video of millions of frames."""


@dataclass(frozen=True)
class Strip:
    """A video whose frames are squares in one image."""

    name: str  # path under the root, with "/"
    path: Path
    stamp: str
    side: int
    length: int

    def stored(self, fps: float) -> NDArray[np.int64]:
        """Numbers of the stored frames, (length,): every frame is used, whatever the frame rate."""
        return np.arange(self.length)

    def stamp_of(self, kind: str) -> str:
        """Fingerprint of the file, which changes with it."""
        return self.stamp

    def decode_start(self, kind: str, number: int) -> int:
        """The first frame: an image is decoded whole."""
        return 0

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """The image."""
        return [self.path]

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read frames by number, (S, S, 3)."""
        frames = cut_frames(read_image(self.path))
        return (frames[number] for number in numbers)

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a frame's map; strips have none."""
        return self.path


def open_strip(path: Path, root: Path) -> Strip:
    """Read the size of a strip. Raises ZooError for an image that cannot be cut into squares."""
    height, width = image_size(path)
    side, long = sorted((height, width))
    if side < LEAST_SIDE:
        raise ZooError(
            f"{path} is {width}x{height} pixels (width x height), but frames have at least {LEAST_SIDE}. Move it out "
            f"of data.root={root}."
        )
    if long % side:
        raise ZooError(
            f"{path} is {width}x{height} pixels (width x height), and {long} is not a multiple of {side}: it cannot be "
            f"cut into square frames. A strip of {long // side} frames has {side}x{side * (long // side)} or "
            f"{side * (long // side)}x{side} pixels. Repair the file, or move it out of data.root={root}."
        )
    return Strip(path.relative_to(root).as_posix(), path, stamp_of(path), side, long // side)


def cut_frames(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut a strip (h, w, 3) into its frames, (T, S, S, 3): side by side if it is wider than high, else one above the
    other."""
    height, width, channels = pixels.shape
    if width < height:
        return pixels.reshape(height // width, width, width, channels)
    return pixels.reshape(height, width // height, height, channels).swapaxes(0, 1)
