"""Frames and exact ground truth of one shape at known positions. numpy only.

Shapes: T frames, H x W pixels, S pixels a side of the shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from zoo.data.sets.shapes.names import SHAPES, SIZES

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
DISC = SHAPES.index("disc")
SLACK = 0.08
"""What the radius of a disc has more than half its side, in pixels."""


def draw_mask(shape: int, size: int) -> Bools:
    """Picture of a shape, (S, S). size: even, at least 2.

    A disc is lopsided, as the published ones are: S - 1 pixels wide around the pixel (S/2 - 1, S/2 - 1), with one more
    pixel at the right and one at the bottom.
    """
    if shape != DISC:
        return np.ones((size, size), dtype=bool)
    radius = size // 2
    distance = np.abs(np.arange(size) - (radius - 1))
    squared = distance[:, None] ** 2 + distance[None] ** 2
    inner = np.maximum(distance[:, None], distance[None]) < radius
    return np.asarray((inner & (squared <= (radius + SLACK) ** 2)) | (squared == radius**2))


@dataclass(frozen=True)
class Scene:
    """All that a clip shows. motion, shape, size: ids of the attributes. colour: (3,) uint8, RGB. path: (T, 2), row and
    column of the top-left corner. side: of the shape in pixels."""

    motion: int
    shape: int
    size: int
    colour: NDArray[np.uint8]
    path: Ints
    side: int

    @property
    def attributes(self) -> dict[str, int]:
        """Id of every attribute."""
        red, green, blue = (int(level >= 128) for level in self.colour)
        return {"motion": self.motion, "shape": self.shape, "size": self.size, "colour": 4 * red + 2 * green + blue}


@dataclass(frozen=True)
class Rendering:
    """A scene, drawn at H x W pixels. frames: numbers of the frames of its path that are shown."""

    scene: Scene
    frames: range
    height: int
    width: int

    @cached_property
    def path(self) -> Ints:
        """Positions in the shown frames, (T, 2)."""
        return self.scene.path[self.frames.start : self.frames.stop : self.frames.step]

    @cached_property
    def instances(self) -> Ints:
        """1 on the shape, 0 on the background, (T, H, W)."""
        mask = draw_mask(self.scene.shape, self.scene.side)
        ids = np.zeros((len(self.path), self.height, self.width), np.int64)
        for frame, (row, column) in zip(ids, self.path.tolist(), strict=True):
            frame[row : row + self.scene.side, column : column + self.scene.side] = mask
        return ids

    @property
    def video(self) -> NDArray[np.uint8]:
        """The frames, (T, H, W, 3)."""
        return self.instances[..., None].astype(np.uint8) * self.scene.colour

    @property
    def labels(self) -> Ints:
        """0 is the background, else one more than the shape, (T, H, W)."""
        return self.instances * (self.scene.shape + 1)

    @property
    def flow(self) -> NDArray[np.float32]:
        """Backward flow in pixels, (T-1, 2, H, W): that of the shape on the shape; the background stands still."""
        moved = (self.path[:-1] - self.path[1:])[:, ::-1].astype(np.float32)  # dx, dy
        return np.where(self.instances[1:, None] > 0, moved[..., None, None], np.float32(0))

    @property
    def visibility(self) -> NDArray[np.float32]:
        """1 where the source pixel shows the same, (T-1, 1, H, W): everywhere but where the shape uncovers the
        background."""
        uncovered = (self.instances[:-1] == 1) & (self.instances[1:] == 0)
        return (~uncovered)[:, None].astype(np.float32)

    @property
    def centres(self) -> NDArray[np.float32]:
        """Centre x and y of the shape's box in pixels and a confidence of 1, (T, 1, 3)."""
        centre = self.path[:, ::-1] + (self.scene.side - 1) / 2
        return np.concatenate([centre, np.ones_like(centre[:, :1])], -1)[:, None].astype(np.float32)


def scaled_side(size: int, height: int, width: int, canvas: int) -> int:
    """Side in pixels of the shape with this id of a size: an even number, in proportion to the shorter side."""
    return max(2, 2 * round(SIZES[size] * min(height, width) / canvas / 2))
