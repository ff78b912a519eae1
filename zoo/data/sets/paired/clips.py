"""Clips of the data set `paired`."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.data.sequences.clips import Cut, SequenceClips
from zoo.data.transforms import to_signed


class PairedClips(SequenceClips):
    """Clips whose condition may be the drawings that stand beside the frames."""

    def _condition(self, cut: Cut) -> Tensor:
        """(T, C, H, W): the drawings in [-1, 1], or what is drawn from the frames."""
        if self.spec.condition_kind == "drawings":
            return torch.from_numpy(to_signed(cut.pictures("drawings")))
        return super()._condition(cut)
