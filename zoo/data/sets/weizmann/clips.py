"""Clips of the data set `weizmann`."""

from __future__ import annotations

import warnings

from zoo.data.sequences.clips import FootageClips
from zoo.data.sets.weizmann.config import WeizmannConfig
from zoo.data.sets.weizmann.find import find_weizmann
from zoo.types import Split


class WeizmannClips(FootageClips):
    """Clips of Weizmann.

    train: the same clips in every epoch, ``starts`` per video, evenly spaced; they repeat if the video is short. val,
    test: consecutive windows of the last part of each video.
    """

    def __init__(self, config: WeizmannConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        found = find_weizmann(config)
        segments = found.segments(split)
        for note in found.notes(split):
            warnings.warn(note, stacklevel=2)
        starts = None
        if split == "train":
            starts = [config.starts or segment.length - config.frames + 1 for segment in segments]
        super().__init__(config, found.spec, segments, split, fields, seed, starts, found.attributes)
