"""Clips of the data set `kth`."""

from __future__ import annotations

import warnings

from zoo.data.sequences.clips import FootageClips
from zoo.data.sets.kth.config import KTHConfig
from zoo.data.sets.kth.find import find_kth
from zoo.types import Split


class KTHClips(FootageClips):
    """Clips of the sequences of KTH, with person, action and scenario of each."""

    def __init__(self, config: KTHConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        found = find_kth(config)
        segments = found.segments(split)
        for note in found.notes(split):
            warnings.warn(note, stacklevel=2)
        super().__init__(config, found.spec, segments, split, fields, seed, attributes=found.attributes)
