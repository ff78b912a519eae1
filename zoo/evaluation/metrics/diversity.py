"""How far apart several samples of one clip are. Neither way is better: a model may draw what is wrong in many ways.

Shapes: B clips, D draws, T frames, H x W pixels.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.errors import ZooError
from zoo.evaluation.metric import Figures, Setup


class Diversity(Metric):
    """Mean absolute difference of two draws, over pixels, frames and colours, 0 to 2; the mean over all pairs of draws,
    then over clips. 0 for a model whose draws are all the same."""

    full_state_update = False

    total: Tensor
    clips: Tensor

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        if setup.draws < 2:
            raise ZooError(
                f"{name} compares the draws of a clip with each other, and draws={setup.draws}. Try: draws=2"
            )
        self.name = name
        for state in ("total", "clips"):
            self.add_state(state, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, made: Tensor, real: Tensor) -> None:
        """(B, D, T, 3, H, W); real clips have one draw each and do not matter."""
        pairs = list(combinations(made.unbind(1), 2))
        for one, other in pairs:
            self.total += (one - other).abs().flatten(1).mean(1).double().sum() / len(pairs)
        self.clips += len(made)

    def compute(self) -> Figures:
        """``<name>``."""
        return {self.name: float(self.total / self.clips)}
