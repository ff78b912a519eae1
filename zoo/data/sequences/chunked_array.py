"""A long cached array of one kind of data of a video, on disk in chunks that are computed on demand.

Chunks are short, so the first clips of a training do not pay for frames that they do not show. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.sequences.cache import ArrayCache, Origin

CHUNK_LENGTH = 16
"""Number of entries in a chunk, which is one file."""

ComputeChunks = Callable[[Sequence[int]], Iterator[tuple[int, NDArray[Any]]]]
"""Maps numbers of chunks to (number, entries) pairs; may yield further chunks, which are stored too."""


@dataclass(frozen=True)
class ChunkedArray:
    """``count`` entries of the same shape, in the cache under ``name``."""

    cache: ArrayCache
    name: str
    origin: Origin
    count: int
    shape: tuple[int, ...]

    def bounds(self, chunk: int) -> tuple[int, int]:
        """First entry of a chunk, and the one after its last."""
        return chunk * CHUNK_LENGTH, min((chunk + 1) * CHUNK_LENGTH, self.count)

    def has(self, chunk: int) -> bool:
        """Whether a chunk is on disk, complete or not."""
        return self.cache.has(self._file_name(chunk))

    def read(self, wanted: range, compute: ComputeChunks) -> NDArray[Any]:
        """Read entries; computes and stores the chunks that are missing."""
        found = {
            chunk: self._load(chunk)
            for chunk in range(wanted.start // CHUNK_LENGTH, (wanted.stop - 1) // CHUNK_LENGTH + 1)
        }
        missing = [chunk for chunk, entries in found.items() if entries is None]
        if missing:
            for chunk, computed in compute(missing):
                self.cache.store(self._file_name(chunk), self.origin, computed)
                if chunk in found:
                    found[chunk] = computed
        parts = []
        for chunk, entries in found.items():
            assert entries is not None, "a chunk was not computed"
            first, _ = self.bounds(chunk)
            parts.append(entries[max(wanted.start - first, 0) : wanted.stop - first])
        return np.concatenate(parts)

    def _load(self, chunk: int) -> NDArray[Any] | None:
        first, last = self.bounds(chunk)
        return self.cache.load(self._file_name(chunk), self.origin, (last - first, *self.shape))

    def _file_name(self, chunk: int) -> str:
        return f"{self.name}/{chunk:06d}"
