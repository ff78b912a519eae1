"""Crop squares from a video's frames: around the person, or at the centre. Imports no torch.

Shapes: T stored frames, h x w pixels. A box is (left, top, side) in pixels, and may extend beyond the frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.sequences.cache import ArrayCache, Origin, entry_name
from zoo.data.sequences.footage import VideoSource
from zoo.data.sets.folder.derived import DerivedVideo
from zoo.data.sets.folder.footage import FolderVideo
from zoo.data.sets.weizmann.person import centre_boxes, person_boxes

VERSION = 1
"""Part of the cache key of the boxes. Raise it when the same frames give other boxes."""


@dataclass(frozen=True)
class CroppedVideo(DerivedVideo):
    """A video that is cropped to a square."""

    crop: str
    cache: ArrayCache

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """Boxes, (T, 3), one per stored frame; computed once and cached."""
        info = self.source.info
        if self.crop == "centre":
            return centre_boxes(info.frames, info.height, info.width)
        kind, stamp = f"person boxes {VERSION}", self.source.stamp_of("frames")
        origin = Origin(self.name, stamp, kind, (info.height, info.width))
        return self.cache.get_or_make(entry_name(kind, self.name, stamp), origin, (info.frames, 3), self._compute_boxes)

    def stamp_of(self, kind: str) -> str:
        """Fingerprint of the files and the crop; part of the cache key."""
        return f"{self.source.stamp_of(kind)} {self.crop} {VERSION}"

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read cropped frames by ascending number."""
        for number, picture in zip(numbers, self.source.read(kind, numbers), strict=True):
            yield cut_square(picture, *self.boxes[number])

    def _compute_boxes(self) -> NDArray[np.int64]:
        return person_boxes(np.stack(list(self.source.read("frames", np.arange(self.source.info.frames)))))


def crop_video(video: FolderVideo, crop: str, cache: ArrayCache) -> VideoSource:
    """Crop the video as ``data.crop`` says."""
    return video if crop == "none" else CroppedVideo(video, crop, cache)


def cut_square(picture: NDArray[np.uint8], left: int, top: int, side: int) -> NDArray[np.uint8]:
    """Crop a square from a frame (h, w, 3); beyond the frame it has the frame's mean colour."""
    height, width, _ = picture.shape
    square = np.empty((side, side, 3), np.uint8)
    square[:] = picture.mean(axis=(0, 1)).round()
    rows, columns = slice(max(top, 0), min(top + side, height)), slice(max(left, 0), min(left + side, width))
    inside = picture[rows, columns]
    square[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = inside
    return square
