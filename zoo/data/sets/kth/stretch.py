"""Scale frames to the size of a clip, each side by itself. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.data.sets.folder.footage import FolderVideo


@dataclass(frozen=True)
class StretchedVideo:
    """A video whose frames are scaled to height x width, whatever their aspect ratio."""

    source: FolderVideo
    height: int
    width: int

    @property
    def name(self) -> str:
        """Name of the source video."""
        return self.source.name

    @property
    def path(self) -> Path:
        """Path of the source video."""
        return self.source.path

    @property
    def length(self) -> int:
        """Number of frames at the clips' frame rate."""
        return self.source.length

    def stored(self, fps: float) -> NDArray[np.int64]:
        """Numbers of the stored frames that are shown, (length,)."""
        return self.source.stored(fps)

    def stamp_of(self, kind: str) -> str:
        """Fingerprint of the files and of the scaling; part of the cache key."""
        return f"{self.source.stamp_of(kind)} stretched"

    def decode_start(self, kind: str, number: int) -> int:
        """Number of the last keyframe at or before a frame."""
        return self.source.decode_start(kind, number)

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """The files of the source video."""
        return self.source.frame_files(numbers)

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read scaled frames by ascending number, (H, W, 3): area averaging shrinks, cubic interpolation enlarges."""
        for picture in self.source.read(kind, numbers):
            rows, columns = picture.shape[:2]
            shrinks = rows > self.height or columns > self.width
            how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            yield np.asarray(cv2.resize(picture, (self.width, self.height), interpolation=how))

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a frame's map; these videos have none."""
        return self.source.map_file(kind, number)
