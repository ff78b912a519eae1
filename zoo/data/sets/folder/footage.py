"""A video of the folder, file or folder of frames, with its maps: what is stored, read by number. Imports no torch.

Shapes: T frames, h x w pixels as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import Frame, VideoInfo, frame_times, iter_frames, keyframe_before, read_ids, read_image
from zoo.data.sequences.files import files_in
from zoo.errors import ZooError


def stored_frames(path: Path, wanted: NDArray[np.int64]) -> Iterator[Frame]:
    """Frames as they are stored, by ascending number, from a video file or a folder of frames."""
    if path.is_dir():
        pictures = files_in(path)
        return (read_image(pictures[i]) for i in wanted)
    return iter_frames(path, wanted)


def frame_files(path: Path, numbers: Iterable[int]) -> list[Path]:
    """The files that hold frames of a video: its own, or of a folder one for each; none twice."""
    if not path.is_dir():
        return [path]
    pictures = files_in(path)
    return [pictures[number] for number in dict.fromkeys(map(int, numbers))]


def nearest_frames(times: NDArray[np.float64], fps: float, length: int) -> NDArray[np.int64]:
    """The stored frame nearest to each k / fps seconds, (T,) ascending times to (length,).

    A tie goes to the earlier frame.
    """
    halfway = (times[1:] + times[:-1]) / 2
    return np.searchsorted(halfway, np.arange(length) / fps - 1e-6)


@dataclass(frozen=True)
class MapFolder:
    """One image of ids for each stored frame of a video."""

    path: Path
    stamp: str


@dataclass(frozen=True)
class Stored:
    """A readable video, file or folder of frames, as it is stored."""

    name: str  # path under the root, with "/"
    path: Path
    stamp: str
    info: VideoInfo


@dataclass(frozen=True)
class Video(Stored):
    """A usable video. length: frames at the clips' frame rate. maps: its labels and instances, if any."""

    length: int
    maps: dict[str, MapFolder]

    def stored(self, fps: float) -> NDArray[np.int64]:
        """(length,) the number of the stored frame behind each frame."""
        times = np.arange(self.info.frames) / self.info.fps if self.path.is_dir() else frame_times(self.path)
        return nearest_frames(times, fps, self.length)

    def stamp_of(self, kind: str) -> str:
        """Another stamp is another content."""
        return f"{self.stamp if kind == 'frames' else self.maps[kind].stamp} {self.info}"

    def begins_at(self, kind: str, number: int) -> int:
        """A frame of a file can be decoded from the keyframe before it on; a picture stands alone."""
        return keyframe_before(self.path, number) if kind == "frames" and self.path.is_file() else number

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """The video's own file, or those of these frames."""
        return frame_files(self.path, numbers)

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Frames (h, w, 3), or labels or instances (h, w) int32, of ascending numbers."""
        if kind == "frames":
            return stored_frames(self.path, numbers)
        pictures = files_in(self.maps[kind].path)
        return (self._ids(pictures[i]) for i in numbers)

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a stored frame's labels or instances."""
        return files_in(self.maps[kind].path)[number]

    def _ids(self, path: Path) -> NDArray[np.int32]:
        """One map. A ZooError if it is not of its frame's size."""
        ids = read_ids(path).astype(np.int32)
        height, width = ids.shape
        if (height, width) != (self.info.height, self.info.width):
            raise ZooError(
                f"{path} is {width}x{height} pixels; the frames of {self.path} are "
                f"{self.info.width}x{self.info.height} (width x height). Make the map in the size of its frame, with "
                "nearest-neighbour scaling."
            )
        return ids
