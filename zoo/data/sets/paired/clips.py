"""Clips of the data set `paired`."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.data.sequences.clips import ClipWindow, SequenceClips
from zoo.data.transforms import to_signed


class PairedClips(SequenceClips):
    """Clips whose condition may be the drawings beside the frames."""

    def _make_condition(self, window: ClipWindow) -> Tensor:
        """Read the drawings, in [-1, 1], or compute the condition from the frames; (T, C, H, W)."""
        if self.spec.condition_kind == "drawings":
            return torch.from_numpy(to_signed(window.images("drawings")))
        return super()._make_condition(window)
