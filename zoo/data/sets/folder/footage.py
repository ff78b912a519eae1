"""A video of a folder, as a file or a folder of frames, with its maps; read by frame number. Imports no torch.

Shapes: T frames, h x w pixels as stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import RGBFrame, VideoInfo, frame_times, iter_frames, keyframe_before, read_ids, read_image
from zoo.data.sequences.files import files_in
from zoo.errors import ZooError


def stored_frames(path: Path, wanted: NDArray[np.int64]) -> Iterator[RGBFrame]:
    """Read frames in their stored size by ascending number, from a video file or a folder of frames."""
    if path.is_dir():
        pictures = files_in(path)
        return (read_image(pictures[i]) for i in wanted)
    return iter_frames(path, wanted)


def frame_files(path: Path, numbers: Iterable[int]) -> list[Path]:
    """The files that contain frames of a video: the file itself, or one image per frame, without duplicates."""
    if not path.is_dir():
        return [path]
    pictures = files_in(path)
    return [pictures[number] for number in dict.fromkeys(map(int, numbers))]


def nearest_frames(times: NDArray[np.float64], fps: float, length: int) -> NDArray[np.int64]:
    """Number of the stored frame nearest to each k / fps seconds, (T,) ascending times to (length,).

    In a tie, the earlier frame.
    """
    halfway = (times[1:] + times[:-1]) / 2
    return np.searchsorted(halfway, np.arange(length) / fps - 1e-6)


@dataclass(frozen=True)
class MapFolder:
    """A folder with one image of ids per stored frame of a video."""

    path: Path
    stamp: str


@dataclass(frozen=True)
class ProbedVideo:
    """A readable video, a file or a folder of frames, as stored."""

    name: str  # path under the root, with "/"
    path: Path
    stamp: str
    info: VideoInfo


@dataclass(frozen=True)
class FolderVideo(ProbedVideo):
    """A usable video. length: frames at the frame rate of the clips. maps: labels and instances, if any."""

    length: int
    maps: dict[str, MapFolder]

    def stored(self, fps: float) -> NDArray[np.int64]:
        """Numbers of the stored frames that are shown, (length,)."""
        times = np.arange(self.info.frames) / self.info.fps if self.path.is_dir() else frame_times(self.path)
        return nearest_frames(times, fps, self.length)

    def stamp_of(self, kind: str) -> str:
        """Fingerprint of the files of a kind, which changes with their content; part of the cache key."""
        return f"{self.stamp if kind == 'frames' else self.maps[kind].stamp} {self.info}"

    def decode_start(self, kind: str, number: int) -> int:
        """Number of the last keyframe at or before a frame of a file; an image is decoded by itself."""
        return keyframe_before(self.path, number) if kind == "frames" and self.path.is_file() else number

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """The video file, or the images of these frames."""
        return frame_files(self.path, numbers)

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read frames (h, w, 3), or labels or instances (h, w) int32, by ascending number."""
        if kind == "frames":
            return stored_frames(self.path, numbers)
        pictures = files_in(self.maps[kind].path)
        return (self._ids(pictures[i]) for i in numbers)

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a stored frame's labels or instances."""
        return files_in(self.maps[kind].path)[number]

    def _ids(self, path: Path) -> NDArray[np.int32]:
        """Read one map. Raises ZooError if it differs in size from its frame."""
        ids = read_ids(path).astype(np.int32)
        height, width = ids.shape
        if (height, width) != (self.info.height, self.info.width):
            raise ZooError(
                f"{path} is {width}x{height} pixels, but the frames of {self.path} are "
                f"{self.info.width}x{self.info.height} (width x height). Scale the map to the size of its frame, by "
                "nearest neighbour."
            )
        return ids
