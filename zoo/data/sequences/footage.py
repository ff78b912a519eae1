"""One video at the frame rate and size of the clips: frames, maps and flow by frame number.

Cached data is computed on demand, in chunks (`sequences.chunked_array`): an hour of footage need not be decoded before
the first step, and later a clip takes one or two reads. Decoding starts at a keyframe, so the frames between it and the
requested ones are decoded anyway; they are cached too. Imports no torch.

Shapes: T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zoo.data.sequences.cache import ArrayCache, Origin, entry_name
from zoo.data.sequences.chunked_array import CHUNK_LENGTH, ChunkedArray
from zoo.data.transforms import cover

IDS = ("labels", "instances", "densepose")
"""Kinds whose pixels are ids or surface coordinates, so they must not be interpolated."""


class VideoSource(Protocol):
    """A stored video: frames and maps, by kind and number."""

    @property
    def name(self) -> str:
        """Path under the root of the data set."""

    @property
    def path(self) -> Path:
        """Path for error messages."""

    @property
    def length(self) -> int:
        """Number of frames at the clips' frame rate."""

    def stored(self, fps: float) -> NDArray[np.int64]:
        """Numbers of the stored frames that are shown, (length,)."""

    def stamp_of(self, kind: str) -> str:
        """Fingerprint of the files of a kind, which changes with their content; part of the cache key."""

    def decode_start(self, kind: str, number: int) -> int:
        """Number of the stored frame at which decoding begins: the last keyframe before this one, or itself."""

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """The files that contain stored frames, in order and without duplicates."""

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read images of stored frames by ascending number, in their stored size, (h, w) or (h, w, 3)."""

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a stored frame's map."""


class FlowSource(Protocol):
    """Computes flow and visibility of consecutive frames."""

    @property
    def name(self) -> str:
        """Identifies estimator and weights; part of the cache key."""

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Frames (T, H, W, 3) to dx, dy and visibility, (T-1, 3, H, W)."""


@dataclass(frozen=True)
class Footage:
    """A video, resampled by repeating or dropping frames, never blending them. cached: frames, flow or both."""

    video: VideoSource
    height: int
    width: int
    fps: float
    cache: ArrayCache
    cached: frozenset[str] = frozenset({"frames", "flow"})

    @cached_property
    def stored(self) -> NDArray[np.int64]:
        """Numbers of the stored frames that are shown, (length,)."""
        return self.video.stored(self.fps)

    def frames(self, start: int, stop: int, step: int = 1) -> NDArray[np.uint8]:
        """Every step-th frame from start to stop, (T, H, W, 3)."""
        return self.images("frames", start, stop, step)

    def images(self, kind: str, start: int, stop: int, step: int = 1) -> NDArray[Any]:
        """Every step-th image of a kind from start to stop, (T, H, W) or (T, H, W, 3); ids by the nearest pixel."""
        if "frames" not in self.cached:
            return np.stack(list(self._read_resized(kind, self.stored[start:stop:step])))
        shape = (self.height, self.width) if kind in ("labels", "instances") else (self.height, self.width, 3)
        chunks = self._open_array(kind, self.video.stamp_of(kind), self.video.length, shape)
        return chunks.read(range(start, stop), lambda missing: self._read_chunks(kind, chunks, missing))[::step]

    def flow(self, start: int, stop: int, source: FlowSource, step: int = 1) -> NDArray[np.float16]:
        """dx, dy and visibility between every step-th frame from start to stop, (T-1, 3, H, W), in pixels of H x W."""
        shape = (3, self.height, self.width)
        pairs = range(start, stop - step, step)
        if not pairs:
            return np.zeros((0, *shape), dtype=np.float16)
        kind = f"flow {source.name}" + (f" over {step} frames" if step > 1 else "")
        chunks = self._open_array(kind, self.video.stamp_of("frames"), self.video.length - step, shape)

        def estimate(missing: Sequence[int]) -> Iterator[tuple[int, NDArray[np.float16]]]:
            for chunk in missing:
                first, last = chunks.bounds(chunk)
                frames = self.frames(first, last + step)
                flow = np.empty((last - first, *shape), dtype=np.float16)
                for offset in range(min(step, last - first)):
                    flow[offset::step] = source(frames[offset::step])
                yield chunk, flow

        return chunks.read(range(pairs[0], pairs[-1] + 1), estimate)[::step]

    def _open_array(self, kind: str, stamp: str, count: int, shape: tuple[int, ...]) -> ChunkedArray:
        name = entry_name(kind, self.video.name, stamp, self.video.length, self.fps, self.height, self.width)
        return ChunkedArray(
            self.cache, name, Origin(self.video.name, stamp, kind, (self.height, self.width)), count, shape
        )

    def _read_chunks(
        self, kind: str, chunks: ChunkedArray, missing: Sequence[int]
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Read the chunks from the keyframe to the last missing one in a single pass; skips those that exist."""
        begin = self.video.decode_start(kind, int(self.stored[chunks.bounds(missing[0])[0]]))
        first = -(-int(np.searchsorted(self.stored, begin)) // CHUNK_LENGTH)
        wanted = [chunk for chunk in range(first, missing[-1] + 1) if chunk in missing or not chunks.has(chunk)]
        spans = [self.stored[slice(*chunks.bounds(chunk))] for chunk in wanted]
        pictures = self._read_resized(kind, np.concatenate(spans))
        for chunk, bounds in zip(wanted, spans, strict=True):
            yield chunk, np.stack(list(islice(pictures, len(bounds))))

    def _read_resized(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read stored frames one at a time, resized to the size of a clip."""
        for picture in self.video.read(kind, numbers):
            yield cover(picture, self.height, self.width, ids=kind in IDS)
