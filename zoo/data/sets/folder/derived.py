"""A video that shows the frames of another one, cropped or scaled. Imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.sets.folder.footage import FolderVideo


@dataclass(frozen=True)
class DerivedVideo(ABC):
    """A `zoo.data.sequences.footage.VideoSource` whose names, files and times are those of its source."""

    source: FolderVideo

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

    def decode_start(self, kind: str, number: int) -> int:
        """Number of the last keyframe at or before a frame."""
        return self.source.decode_start(kind, number)

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """The files of the source video."""
        return self.source.frame_files(numbers)

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a frame's map; these videos have none."""
        return self.source.map_file(kind, number)

    @abstractmethod
    def stamp_of(self, kind: str) -> str:
        """Fingerprint of the files and of the change; part of the cache key."""

    @abstractmethod
    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read changed frames by ascending number, (H, W, 3)."""
