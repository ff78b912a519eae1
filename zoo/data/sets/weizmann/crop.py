"""Squares cut out of a video's frames: around the person, or in the middle. Imports no torch.

Shapes: T stored frames, h x w pixels. A box is (left, top, side) in pixels, and may reach beyond the frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.sequences.cache import ArrayCache, Origin, entry_name
from zoo.data.sequences.footage import Video as AnyVideo
from zoo.data.sets.folder.footage import Video
from zoo.data.sets.weizmann.person import centre_boxes, person_boxes

VERSION = 1
"""Raise it when the same frames give other boxes."""


@dataclass(frozen=True)
class Cropped:
    """A video of which a square is shown."""

    whole: Video
    crop: str
    cache: ArrayCache

    @property
    def name(self) -> str:
        """That of the whole."""
        return self.whole.name

    @property
    def path(self) -> Path:
        """That of the whole."""
        return self.whole.path

    @property
    def length(self) -> int:
        """Number of frames at the clips' frame rate."""
        return self.whole.length

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """(T, 3), one for each stored frame; found once and kept in the cache."""
        info = self.whole.info
        if self.crop == "centre":
            return centre_boxes(info.frames, info.height, info.width)
        kind, stamp = f"person boxes {VERSION}", self.whole.stamp_of("frames")
        origin = Origin(self.name, stamp, kind, (info.height, info.width))
        return self.cache.get(entry_name(kind, self.name, stamp), origin, (info.frames, 3), self._find)

    def stored(self, fps: float) -> NDArray[np.int64]:
        """(length,) the number of the stored frame behind each frame."""
        return self.whole.stored(fps)

    def stamp_of(self, kind: str) -> str:
        """Another crop is another content."""
        return f"{self.whole.stamp_of(kind)} {self.crop} {VERSION}"

    def begins_at(self, kind: str, number: int) -> int:
        """As in the whole."""
        return self.whole.begins_at(kind, number)

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """Those of the whole."""
        return self.whole.frame_files(numbers)

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Squares of frames by ascending number."""
        for number, picture in zip(numbers, self.whole.read(kind, numbers), strict=True):
            yield cut_square(picture, *self.boxes[number])

    def map_file(self, kind: str, number: int) -> Path:
        """A video without maps has none."""
        return self.whole.map_file(kind, number)

    def _find(self) -> NDArray[np.int64]:
        return person_boxes(np.stack(list(self.whole.read("frames", np.arange(self.whole.info.frames)))))


def cropped(video: Video, crop: str, cache: ArrayCache) -> AnyVideo:
    """The video as ``data.crop`` shows it."""
    return video if crop == "none" else Cropped(video, crop, cache)


def cut_square(picture: NDArray[np.uint8], left: int, top: int, side: int) -> NDArray[np.uint8]:
    """A square of a frame (h, w, 3); beyond the frame it has the frame's mean colour."""
    height, width, _ = picture.shape
    square = np.empty((side, side, 3), np.uint8)
    square[:] = picture.mean(axis=(0, 1)).round()
    rows, columns = slice(max(top, 0), min(top + side, height)), slice(max(left, 0), min(left + side, width))
    inside = picture[rows, columns]
    square[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = inside
    return square
