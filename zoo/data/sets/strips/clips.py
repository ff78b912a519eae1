"""Clips of the data set `strips`."""

from __future__ import annotations

import warnings

from zoo.data.sequences.clips import FootageClips
from zoo.data.sets.strips.config import StripsConfig
from zoo.data.sets.strips.find import find_strips
from zoo.types import Split


class StripClips(FootageClips):
    """Clips of strips, with what their folders and names state."""

    def __init__(self, config: StripsConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        found = find_strips(config)
        segments = found.segments(split)
        for note in found.notes(split):
            warnings.warn(note, stacklevel=2)
        super().__init__(
            config, found.spec, segments, split, fields, seed, attributes=found.attributes, step=config.step
        )
        self.flip = config.flip
