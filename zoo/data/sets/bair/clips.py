"""Clips of the data set `bair`.

Shapes: T frames, A = 4 entries of an action.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from zoo.data.sequences.clips import ClipWindow, FootageClips
from zoo.data.sets.bair.config import BAIRConfig
from zoo.data.sets.bair.find import find_bair
from zoo.data.sets.bair.sources import RecordedTrajectory
from zoo.types import Split


class BAIRClips(FootageClips):
    """Clips of trajectories, with the actions of the arm.

    train: from a random frame on, or from the first one. val, test: one clip of each video, from its first frame on.
    """

    def __init__(self, config: BAIRConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        found = find_bair(config)
        segments = found.segments(split)
        for note in found.notes():
            warnings.warn(note, stacklevel=2)
        starts = None if split == "train" and config.random_start else [1] * len(segments)
        super().__init__(config, found.spec, segments, split, fields, seed, starts)
        self.field_readers["actions"] = self._read_actions

    def _read_actions(self, window: ClipWindow) -> Tensor:
        """Read the actions, (T, A)."""
        video = window.footage.video
        assert isinstance(video, RecordedTrajectory), "folders of images have no actions"
        return torch.from_numpy(video.actions()[window.start : window.stop : window.step].copy())
