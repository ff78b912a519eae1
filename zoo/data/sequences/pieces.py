"""What is kept of one kind of a video: a long array on disk, in pieces that are made when first asked for.

Pieces are short, so that the first clips of a training do not pay for frames that they do not show. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.sequences.cache import ArrayCache, Origin

PIECE = 16
"""Entries of a piece, a file each."""

Make = Callable[[Sequence[int]], Iterator[tuple[int, NDArray[Any]]]]
"""Numbers of pieces to each with its entries; it may give others besides, which are kept, too."""


@dataclass(frozen=True)
class Pieces:
    """``count`` entries of one shape, in the cache under ``name``."""

    cache: ArrayCache
    name: str
    origin: Origin
    count: int
    shape: tuple[int, ...]

    def span(self, piece: int) -> tuple[int, int]:
        """The first entry of a piece, and the one behind its last."""
        return piece * PIECE, min((piece + 1) * PIECE, self.count)

    def has(self, piece: int) -> bool:
        """Whether a piece is on disk, whole or not."""
        return self.cache.has(self._file(piece))

    def gather(self, wanted: range, make: Make) -> NDArray[Any]:
        """The wanted entries, out of the pieces they lie in; those that are not there are made and kept."""
        found = {piece: self._find(piece) for piece in range(wanted.start // PIECE, (wanted.stop - 1) // PIECE + 1)}
        missing = [piece for piece, entries in found.items() if entries is None]
        if missing:
            for piece, made in make(missing):
                self.cache.keep(self._file(piece), self.origin, made)
                if piece in found:
                    found[piece] = made
        parts = []
        for piece, entries in found.items():
            assert entries is not None, "a piece was not made"
            first, _ = self.span(piece)
            parts.append(entries[max(wanted.start - first, 0) : wanted.stop - first])
        return np.concatenate(parts)

    def _find(self, piece: int) -> NDArray[Any] | None:
        first, last = self.span(piece)
        return self.cache.find(self._file(piece), self.origin, (last - first, *self.shape))

    def _file(self, piece: int) -> str:
        return f"{self.name}/{piece:06d}"
