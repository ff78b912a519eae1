"""A video of a folder, as a file or a folder of frames, with its maps; read by frame number. Imports no torch.

Shapes: T frames, h x w pixels as stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import RGBFrame, VideoInfo, frame_times, iter_frames, keyframe_before, read_ids, read_image
from zoo.data.sequences.frame_names import frames_in
from zoo.errors import ZooError


def files_of(path: Path) -> tuple[Path, ...]:
    """The file of a video, or the images of a folder of frames."""
    return frames_in(path).files if path.is_dir() else (path,)


def stored_frames(path: Path, wanted: NDArray[np.int64], images: Sequence[Path] | None = None) -> Iterator[RGBFrame]:
    """Read frames in their stored size by ascending number, from a video file or a folder of frames.

    images: the images of the folder, if they are known.
    """
    if path.is_dir():
        pictures = frames_in(path).files if images is None else images
        return (read_image(pictures[i]) for i in wanted)
    return iter_frames(path, wanted)


def frame_files(path: Path, numbers: Iterable[int], images: Sequence[Path] | None = None) -> list[Path]:
    """The files that contain frames of a video: the file itself, or one image per frame, without duplicates.

    images: the images of the folder, if they are known.
    """
    if not path.is_dir():
        return [path]
    pictures = frames_in(path).files if images is None else images
    return [pictures[number] for number in dict.fromkeys(map(int, numbers))]


def nearest_frames(times: NDArray[np.float64], fps: float, length: int) -> NDArray[np.int64]:
    """Number of the stored frame nearest to each k / fps seconds, (T,) ascending times to (length,).

    In a tie, the earlier frame.
    """
    halfway = (times[1:] + times[:-1]) / 2
    return np.searchsorted(halfway, np.arange(length) / fps - 1e-6)


@dataclass(frozen=True)
class MapFolder:
    """A folder with images of ids. files: one per stored frame of a video, in the order of the frames."""

    path: Path
    stamp: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class ProbedVideo:
    """A readable video, a file or a folder of frames, as stored. files: the file, or the frames in order."""

    name: str  # path under the root, with "/"
    path: Path
    stamp: str
    info: VideoInfo
    files: tuple[Path, ...]


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
        return frame_files(self.path, numbers, self.files)

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read frames (h, w, 3), or labels or instances (h, w) int32, by ascending number."""
        if kind == "frames":
            return stored_frames(self.path, numbers, self.files)
        pictures = self.maps[kind].files
        return (self._ids(pictures[i]) for i in numbers)

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a stored frame's labels or instances."""
        return self.maps[kind].files[number]

    def _ids(self, path: Path) -> NDArray[np.int32]:
        """Read one map, of the pixels of its frame as stored or as shown. Raises ZooError for another size."""
        ids = read_ids(path).astype(np.int32)
        height, width = ids.shape
        if self.info.pixel != 1 and (height, width) == (self.info.height, round(self.info.width / self.info.pixel)):
            return cv2.resize(ids, (self.info.width, height), interpolation=cv2.INTER_NEAREST_EXACT).astype(np.int32)
        if (height, width) != (self.info.height, self.info.width):
            raise ZooError(
                f"{path} is {width}x{height} pixels, but the frames of {self.path} are "
                f"{self.info.width}x{self.info.height} (width x height). Scale the map to the size of its frame, by "
                "nearest neighbour."
            )
        return ids
