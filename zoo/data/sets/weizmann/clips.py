"""Clips of the data set `weizmann`."""

from __future__ import annotations

import warnings

from zoo.data.sequences.clips import FootageClips
from zoo.data.sets.weizmann.config import WeizmannConfig
from zoo.data.sets.weizmann.find import find
from zoo.types import Split


class WeizmannClips(FootageClips):
    """train: the same clips in every epoch, ``starts`` of each video, evenly spaced, some twice where there is no room.

    val: consecutive windows of the last part of each video.
    """

    def __init__(self, config: WeizmannConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        found = find(config)
        stretches = found.stretches(split)
        for note in found.notes(split):
            warnings.warn(note, stacklevel=2)
        starts = None
        if split == "train":
            starts = [config.starts or stretch.length - config.frames + 1 for stretch in stretches]
        super().__init__(config, found.spec, stretches, split, fields, seed, starts, found.attributes)
