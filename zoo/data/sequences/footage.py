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

from zoo.data.sequences.cache import ArrayCache, Origin, entry_name
from zoo.data.transforms import cover

CHUNK = 64
IDS = ("labels", "instances", "densepose")
"""Kinds whose pixels are numbers of things, or places on them: blending two of them means nothing."""


class Video(Protocol):
    """A video as it is stored: its frames and its maps, by kind and number."""

    @property
    def name(self) -> str:
        """Path under the root of the data set."""

    @property
    def path(self) -> Path:
        """What a sentence about it names."""

    @property
    def length(self) -> int:
        """Number of frames at the clips' frame rate."""

    def stored(self, fps: float) -> NDArray[np.int64]:
        """(length,) the number of the stored frame behind each frame."""

    def stamp_of(self, kind: str) -> str:
        """Another stamp is another content."""

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """The files that hold stored frames, in their order, none twice."""

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Pictures of stored frames by ascending number, as they are stored, (h, w) or (h, w, 3)."""

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a stored frame's map."""


class FlowSource(Protocol):
    """Flow and visibility of consecutive frames."""

    @property
    def name(self) -> str:
        """Tells apart estimators and weights."""

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float16]:
        """(T, H, W, 3) to (T-1, 3, H, W): dx, dy, visibility."""


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
        return self.video.stored(self.fps)

    def frames(self, start: int, stop: int, step: int = 1) -> NDArray[np.uint8]:
        """Every step-th frame from start to stop, (T, H, W, 3)."""
        return self.pictures("frames", start, stop, step)

    def maps(self, kind: str, start: int, stop: int, step: int = 1) -> NDArray[np.int32]:
        """Labels or instances of every step-th frame from start to stop, (T, H, W)."""
        return self.pictures(kind, start, stop, step)

    def pictures(self, kind: str, start: int, stop: int, step: int = 1) -> NDArray[Any]:
        """Pictures of any kind that the video has, (T, H, W) or (T, H, W, 3); ids by the nearest pixel."""

        def read(first: int, last: int) -> NDArray[Any]:
            stored = self.video.read(kind, self.stored[first:last])
            return np.stack([cover(picture, self.height, self.width, ids=kind in IDS) for picture in stored])

        shape = (self.height, self.width) if kind in ("labels", "instances") else (self.height, self.width, 3)
        return self._gather(kind, self.video.stamp_of(kind), self.video.length, shape, range(start, stop), read)[::step]

    def flow(self, start: int, stop: int, source: FlowSource, step: int = 1) -> NDArray[np.float16]:
        """dx, dy and visibility between every step-th frame from start to stop, (T-1, 3, H, W), in pixels of H x W."""
        shape = (3, self.height, self.width)
        pairs = range(start, stop - step, step)
        if not pairs:
            return np.zeros((0, *shape), dtype=np.float16)

        def estimate(first: int, last: int) -> NDArray[np.float16]:
            frames = self.frames(first, last + step)
            flow = np.empty((last - first, *shape), dtype=np.float16)
            for offset in range(min(step, last - first)):
                flow[offset::step] = source(frames[offset::step])
            return flow

        kind = f"flow {source.name}" + (f" over {step} frames" if step > 1 else "")
        count = self.video.length - step
        stamp = self.video.stamp_of("frames")
        return self._gather(kind, stamp, count, shape, range(pairs[0], pairs[-1] + 1), estimate)[::step]

    def _gather(
        self,
        kind: str,
        stamp: str,
        count: int,
        shape: tuple[int, ...],
        wanted: range,
        make: Callable[[int, int], NDArray[Any]],
    ) -> NDArray[Any]:
        """The wanted ones of ``count`` entries, from the chunks they lie in; ``make(first, last)`` makes a chunk."""
        key = entry_name(kind, self.video.name, stamp, self.video.length, self.fps, self.height, self.width)
        origin = Origin(self.video.name, stamp, kind, (self.height, self.width))
        parts = []
        for chunk in range(wanted.start // CHUNK, (wanted.stop - 1) // CHUNK + 1):
            first, last = chunk * CHUNK, min((chunk + 1) * CHUNK, count)
            entry = f"{key}/{chunk:06d}"
            array = self.cache.get(entry, origin, (last - first, *shape), partial(make, first, last))
            parts.append(array[max(wanted.start - first, 0) : wanted.stop - first])
        return np.concatenate(parts)
