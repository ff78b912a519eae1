"""Diversity: the distance between several samples of one clip. Neither direction is better: wrong samples differ, too.

Shapes: B clips, D draws, T frames, C channels, H x W pixels.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.errors import ZooError
from zoo.evaluation.metric import MetricValues, Setup


class Diversity(Metric):
    """Mean absolute difference of two draws over pixels, frames and channels, 0 to 2, averaged over all pairs of draws
    and then over clips. 0 for a model whose draws are all the same.

    Raises ZooError for fewer than two draws.
    """

    full_state_update = False

    total: Tensor
    clips: Tensor

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        if setup.draws < 2:
            raise ZooError(f"{name} compares several samples of one clip, but draws={setup.draws}. Try: draws=2")
        self.name = name
        for state in ("total", "clips"):
            self.add_state(state, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, generated: Tensor, real: Tensor) -> None:
        """Add a batch of samples, (B, D, T, C, H, W); real clips are not used."""
        pairs = list(combinations(generated.unbind(1), 2))
        for one, other in pairs:
            self.total += (one - other).abs().flatten(1).mean(1).double().sum() / len(pairs)
        self.clips += len(generated)

    def compute(self) -> MetricValues:
        """Return ``<name>``."""
        return {self.name: float(self.total / self.clips)}
