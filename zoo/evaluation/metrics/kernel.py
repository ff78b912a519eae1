"""Kernel distance of two sets of features: KID (Bińkowski et al. 2018), and KVD, the same of clips (Unterthiner et al.
2018).

Unbiased: 0 on average for two sets of the same kind, however few, and below 0 by chance. No Gaussian is assumed, and no
number of clips is too small to be comparable; few make it noisy.

Shapes: B clips, T frames, N and M clips or frames, D features.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.evaluation.metric import Figures, Setup, VideoMetric, Videos
from zoo.evaluation.metrics.halves import halves
from zoo.randomness import number_of

MOST = 2048
"""Clips or frames of a side that are compared; of more, those whose names give the lowest numbers."""


def kernel(one: Tensor, other: Tensor) -> Tensor:
    """(x·y / D + 1)³; (N, D), (M, D) -> (N, M)."""
    return (one @ other.T / one.shape[1] + 1) ** 3


def squared_mmd(one: Tensor, other: Tensor) -> float:
    """Unbiased maximum mean discrepancy, squared; (N, D), (M, D), two rows at least. Gretton et al. 2012, Eq. 3."""
    within = 0.0
    for rows in (one, other):
        values = kernel(rows, rows)
        within += float((values.sum() - values.trace()) / (len(rows) * (len(rows) - 1)))
    return within - 2 * float(kernel(one, other).mean())


def lowest(rows: Tensor) -> Tensor:
    """Of rows (..., 2 + D) the MOST whose numbers are lowest; where these are equal, as of draws, by their features."""
    rows = rows.flatten(0, -2)
    rows = rows[rows[:, 2:].sum(1).argsort()]
    return rows[rows[:, 0].argsort(stable=True)[:MOST]]


class KernelDistance(VideoMetric):
    """``<name>``, and ``real/<name>``: of two halves of the real clips (by video), which is how far from 0 chance goes.

    A state is a table of constant size. A row: the number of a clip or frame, infinite where there is none yet; 1 for
    the second half; its features.
    """

    made: Tensor
    real: Tensor

    view: Literal["clips", "frames"]

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        assert setup.features is not None
        self.name, self.network = name, setup.features
        size = setup.features.check(name, self.view, setup.frames)
        if setup.clips < 2:
            raise ZooError(f"{name} compares clips with each other, which takes two at least. Try: clips=16")
        empty = torch.zeros(MOST, 2 + size, dtype=torch.float64)
        empty[:, 0] = torch.inf
        for state in ("made", "real"):
            self.add_state(state, empty, dist_reduce_fx=lowest)

    def update(self, videos: Videos, real: bool) -> None:
        """Keep the features of some."""
        features = self.network.see(self.view, videos)
        features = features.double().view(len(features), -1, features.shape[-1])  # one row a clip, or one a frame
        keys, times = videos.clip["key"], range(features.shape[1])
        numbers = torch.tensor([[number_of(key, time) for time in times] for key in keys], dtype=torch.float64)
        names = torch.stack([numbers, halves(keys)[:, None].expand_as(numbers)], -1).to(features.device)
        rows = torch.cat([names, features], -1).flatten(0, 1)
        if real:
            self.real = lowest(torch.cat([self.real, rows]))
        else:
            self.made = lowest(torch.cat([self.made, rows]))

    def compute(self) -> Figures:
        """Of the samples, and of the halves of the real clips."""
        made, real = (state[state[:, 0].isfinite()].cpu() for state in (self.made, self.real))
        odd = real[:, 1] == 1
        pairs = {self.name: (made, real), f"real/{self.name}": (real[~odd], real[odd])}
        return {
            name: squared_mmd(one[:, 2:], other[:, 2:])
            for name, (one, other) in pairs.items()
            if min(len(one), len(other)) > 1
        }


class KVD(KernelDistance):
    """Of features of clips."""

    view = "clips"


class KID(KernelDistance):
    """Of features of frames."""

    view = "frames"
