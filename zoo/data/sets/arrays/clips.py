"""Clips of the data set `arrays`."""

from __future__ import annotations

import warnings

from zoo.data.sequences.clips import FootageClips
from zoo.data.sets.arrays.config import ArraysConfig
from zoo.data.sets.arrays.find import find_arrays
from zoo.types import Split


class ArrayClips(FootageClips):
    """Clips of videos in arrays."""

    def __init__(self, config: ArraysConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        found = find_arrays(config)
        for note in found.notes():
            warnings.warn(note, stacklevel=2)
        super().__init__(config, found.spec, found.segments(split), split, fields, seed)
