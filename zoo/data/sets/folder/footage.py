"""One video at the clips' frame rate and size: its frames, maps and flow by frame number.

They are made in chunks of ``CHUNK`` frames when first asked for and kept in the cache. An hour of footage need not
be decoded before the first step, and later a clip is one or two reads: 8 frames of 224x128 took 1.5 ms, against
77 ms to decode them from 176x144 and 216 ms from 1280x720. Imports no torch.

Shapes: T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import Frame, frame_times, iter_frames, read_ids, read_image
from zoo.data.sets.folder.cache import ArrayCache, entry_name
from zoo.data.sets.folder.catalogue import Video
from zoo.data.sets.folder.find import images_in
from zoo.data.transforms import cover

CHUNK = 64


class FlowSource(Protocol):
    """Flow and visibility of consecutive frames."""

    @property
    def name(self) -> str:
        """Tells apart estimators and weights."""

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float16]:
        """(T, H, W, 3) to (T-1, 3, H, W): dx, dy, visibility."""


def stored_frames(path: Path, wanted: NDArray[np.int64]) -> Iterator[Frame]:
    """Frames as they are stored, by ascending number, from a video file or a folder of frames."""
    if path.is_dir():
        pictures = images_in(path)
        return (read_image(pictures[i]) for i in wanted)
    return iter_frames(path, wanted)


def nearest_frames(times: NDArray[np.float64], fps: float, length: int) -> NDArray[np.int64]:
    """The stored frame nearest to each k / fps seconds, (T,) ascending times to (length,).

    A tie goes to the earlier frame.
    """
    halfway = (times[1:] + times[:-1]) / 2
    return np.searchsorted(halfway, np.arange(length) / fps - 1e-6)


@dataclass(frozen=True)
class Footage:
    """A video, resampled: frames are repeated or left out, never blended."""

    video: Video
    height: int
    width: int
    fps: float
    cache: ArrayCache

    @cached_property
    def stored(self) -> NDArray[np.int64]:
        """(length,) the number of the stored frame behind each frame."""
        video = self.video
        is_images = video.path.is_dir()
        times = np.arange(video.info.frames) / video.info.fps if is_images else frame_times(video.path)
        return nearest_frames(times, self.fps, video.length)

    def frames(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Frames start to stop, (T, H, W, 3)."""
        return self._gather("frames", self.video.stamp, start, stop, self._decode)

    def maps(self, kind: str, start: int, stop: int) -> NDArray[np.int32]:
        """Labels or instances of frames start to stop, (T, H, W)."""
        folder = self.video.maps[kind]

        def read(first: int, last: int) -> NDArray[np.int32]:
            pictures = images_in(folder.path)
            ids = (read_ids(pictures[i]).astype(np.int32) for i in self.stored[first:last])
            return np.stack([cover(picture, self.height, self.width, ids=True) for picture in ids])

        return self._gather(f"{kind} {folder.path}", folder.stamp, start, stop, read)

    def flow(self, start: int, stop: int, source: FlowSource) -> NDArray[np.float16]:
        """dx, dy and visibility between frames start to stop, (T-1, 3, H, W); pixels are those of H x W."""

        def estimate(first: int, last: int) -> NDArray[np.float16]:
            return source(self.frames(first, min(last + 1, self.video.length)))

        if stop - start < 2:
            return np.zeros((0, 3, self.height, self.width), dtype=np.float16)
        return self._gather(f"flow {source.name}", self.video.stamp, start, stop - 1, estimate)

    def _decode(self, first: int, last: int) -> NDArray[np.uint8]:
        images = stored_frames(self.video.path, self.stored[first:last])
        return np.stack([cover(image, self.height, self.width) for image in images])

    def _gather(
        self, kind: str, stamp: str, start: int, stop: int, make: Callable[[int, int], NDArray[Any]]
    ) -> NDArray[Any]:
        """Entries start to stop from the chunks they lie in; ``make(first, last)`` makes a chunk."""
        key = entry_name(kind, self.video.name, stamp, self.video.info, self.fps, self.height, self.width)
        parts = []
        for chunk in range(start // CHUNK, (stop - 1) // CHUNK + 1):
            first, last = chunk * CHUNK, min((chunk + 1) * CHUNK, self.video.length)
            array = self.cache.get(f"{key}/{chunk:06d}", partial(make, first, last))
            parts.append(array[max(start - first, 0) : stop - first])
        return np.concatenate(parts)
