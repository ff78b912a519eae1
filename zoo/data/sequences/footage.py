"""One video at the clips' frame rate and size: its frames, maps and flow by frame number.

What is kept is made in pieces (`sequences.pieces`) when first asked for: an hour of footage need not be decoded before
the first step, and later a clip is one or two reads. Decoding starts at a keyframe, so what lies between it and the
frames that are wanted is decoded whether or not it is wanted; it is kept, too, and not decoded again. Imports no torch.

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
from zoo.data.sequences.pieces import PIECE, Pieces
from zoo.data.transforms import cover

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

    def begins_at(self, kind: str, number: int) -> int:
        """The stored frame where reading that one begins: the keyframe before it, or itself."""

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
    """A video, resampled: frames are repeated or left out, never blended. kept: what is, of frames and flow."""

    video: Video
    height: int
    width: int
    fps: float
    cache: ArrayCache
    kept: frozenset[str] = frozenset({"frames", "flow"})

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
        if "frames" not in self.kept:
            return np.stack(list(self._covered(kind, self.stored[start:stop:step])))
        shape = (self.height, self.width) if kind in ("labels", "instances") else (self.height, self.width, 3)
        pieces = self._pieces(kind, self.video.stamp_of(kind), self.video.length, shape)
        return pieces.gather(range(start, stop), lambda missing: self._read(kind, pieces, missing))[::step]

    def flow(self, start: int, stop: int, source: FlowSource, step: int = 1) -> NDArray[np.float16]:
        """dx, dy and visibility between every step-th frame from start to stop, (T-1, 3, H, W), in pixels of H x W."""
        shape = (3, self.height, self.width)
        pairs = range(start, stop - step, step)
        if not pairs:
            return np.zeros((0, *shape), dtype=np.float16)
        kind = f"flow {source.name}" + (f" over {step} frames" if step > 1 else "")
        pieces = self._pieces(kind, self.video.stamp_of("frames"), self.video.length - step, shape)

        def estimate(missing: Sequence[int]) -> Iterator[tuple[int, NDArray[np.float16]]]:
            for piece in missing:
                first, last = pieces.span(piece)
                frames = self.frames(first, last + step)
                flow = np.empty((last - first, *shape), dtype=np.float16)
                for offset in range(min(step, last - first)):
                    flow[offset::step] = source(frames[offset::step])
                yield piece, flow

        return pieces.gather(range(pairs[0], pairs[-1] + 1), estimate)[::step]

    def _pieces(self, kind: str, stamp: str, count: int, shape: tuple[int, ...]) -> Pieces:
        name = entry_name(kind, self.video.name, stamp, self.video.length, self.fps, self.height, self.width)
        return Pieces(self.cache, name, Origin(self.video.name, stamp, kind, (self.height, self.width)), count, shape)

    def _read(self, kind: str, pieces: Pieces, missing: Sequence[int]) -> Iterator[tuple[int, NDArray[Any]]]:
        """Pieces from the first after the keyframe to the last that is missing, in one go; not those that are there."""
        begin = self.video.begins_at(kind, int(self.stored[pieces.span(missing[0])[0]]))
        first = -(-int(np.searchsorted(self.stored, begin)) // PIECE)
        wanted = [piece for piece in range(first, missing[-1] + 1) if piece in missing or not pieces.has(piece)]
        spans = [self.stored[slice(*pieces.span(piece))] for piece in wanted]
        pictures = self._covered(kind, np.concatenate(spans))
        for piece, span in zip(wanted, spans, strict=True):
            yield piece, np.stack(list(islice(pictures, len(span))))

    def _covered(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Pictures of stored frames, one at a time, as a clip shows them."""
        for picture in self.video.read(kind, numbers):
            yield cover(picture, self.height, self.width, ids=kind in IDS)
