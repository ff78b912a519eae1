"""Diversity: the distance between several samples of one clip. Neither direction is better: wrong samples differ, too.

Shapes: B clips, T frames, C channels, H x W pixels.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.errors import ZooError
from zoo.evaluation.metric import MetricValues, Setup

MAX_DRAWS = 8
"""Draws of a clip that are compared. Every pair needs two draws at hand, so memory would grow with their number."""


class Diversity(Metric):
    """Mean absolute difference of two draws over pixels, frames and channels, 0 to 2, averaged over all pairs of draws
    and then over clips. 0 for a model whose draws are all the same. Only the first MAX_DRAWS draws of a clip count.

    Raises ZooError for fewer than two draws.
    """

    full_state_update = False

    total: Tensor
    clips: Tensor

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        if setup.draws < 2:
            raise ZooError(f"{name} compares several samples of one clip, but draws={setup.draws}. Try: draws=2")
        self.name, self.draws = name, min(setup.draws, MAX_DRAWS)
        self._kept: list[Tensor] = []  # draws of this batch
        for state in ("total", "clips"):
            self.add_state(state, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, generated: Tensor, real: Tensor, draw: int) -> None:
        """Add one draw of a batch of samples, (B, T, C, H, W); real clips are not used.

        draw: its number, from 0. All draws of a batch are added in order before the next batch.
        """
        if draw >= self.draws:
            return
        self._kept = [*self._kept, generated] if draw else [generated]
        if draw < self.draws - 1:
            return
        pairs = list(combinations(self._kept, 2))
        for one, other in pairs:
            self.total += (one - other).abs().flatten(1).mean(1).double().sum() / len(pairs)
        self.clips += len(generated)
        self._kept = []

    def compute(self) -> MetricValues:
        """Return ``<name>``."""
        return {self.name: float(self.total / self.clips)}
