"""Scale frames to the size of a clip, each side by itself. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.data.sets.folder.derived import DerivedVideo


@dataclass(frozen=True)
class StretchedVideo(DerivedVideo):
    """A video whose frames are scaled to height x width, whatever their aspect ratio."""

    height: int
    width: int

    def stamp_of(self, kind: str) -> str:
        """Fingerprint of the files and of the scaling; part of the cache key."""
        return f"{self.source.stamp_of(kind)} stretched"

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read scaled frames by ascending number, (H, W, 3): area averaging shrinks, cubic interpolation enlarges."""
        for picture in self.source.read(kind, numbers):
            rows, columns = picture.shape[:2]
            shrinks = rows > self.height or columns > self.width
            how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            yield np.asarray(cv2.resize(picture, (self.width, self.height), interpolation=how))
