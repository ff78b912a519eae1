"""Kernel distance of two sets of features: KID (Bińkowski et al. 2018), and KVD, the same for clips (Unterthiner et al.
2018).

The estimate is unbiased: its mean is 0 for two sets of one distribution, whatever their size, so it can fall below 0 by
chance. Rows of one clip are never compared, since they are not independent: neither a sample with the clip that it was
made from, nor two frames or draws of a clip. Otherwise samples that equal their clips would have a value far below 0.
It assumes no Gaussian, and values of different numbers of clips are comparable; few clips make it noisy.

Shapes: B clips, T frames, N and M clips or frames, D features.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.evaluation.metric import MetricValues, Setup, VideoMetric, Videos
from zoo.evaluation.metrics.key_hash_split import key_hash_split
from zoo.randomness import number_of

MAX_ROWS = 2048
"""Clips or frames that are compared on each side; of more, those whose keys have the lowest hashes."""


def kernel(one: Tensor, other: Tensor) -> Tensor:
    """(x·y / D + 1)³; (N, D), (M, D) -> (N, M)."""
    return (one @ other.T / one.shape[1] + 1) ** 3


def squared_mmd(one: Tensor, other: Tensor, clips: Tensor, clips2: Tensor) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy, (N, D) and (M, D).

    clips, clips2: number of the clip of each row, (N,) and (M,). Pairs of one clip do not count. Where no clip occurs
    twice it is Eq. 3 of Gretton et al. 2012, and where both sets hold the same clips once, the U-statistic, Eq. 4. NaN
    where a set has rows of one clip only.
    """

    def mean_kernel(rows: Tensor, others: Tensor, numbers: Tensor, numbers2: Tensor) -> float:
        return float(kernel(rows, others)[numbers[:, None] != numbers2].mean())

    within = mean_kernel(one, one, clips, clips) + mean_kernel(other, other, clips2, clips2)
    return within - 2 * mean_kernel(one, other, clips, clips2)


def keep_lowest(rows: Tensor) -> Tensor:
    """Keep the MAX_ROWS rows with the lowest hashes, (..., 3 + D) -> (MAX_ROWS, 3 + D).

    Rows of equal hashes, such as several draws of a clip, are ordered by their features.
    """
    rows = rows.flatten(0, -2)
    rows = rows[rows[:, 3:].sum(1).argsort()]
    return rows[rows[:, 0].argsort(stable=True)[:MAX_ROWS]]


class KernelDistance(VideoMetric):
    """``<name>``, and ``real/<name>``: the distance between two halves of the real clips (split by video), which shows
    how far from 0 chance alone leads.

    A state is a table of constant size. Each row holds the hash of a clip or frame (infinite in an empty row), the
    number of its clip, 1 for the second half of the clips, and the features. Raises ZooError for fewer than two clips.
    """

    generated: Tensor
    real: Tensor

    view: Literal["clips", "frames"]

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        assert setup.features is not None
        self.name, self.network = name, setup.features
        size = setup.features.check(name, self.view, setup.frames)
        if setup.clips < 2:
            raise ZooError(f"{name} compares clips with each other and needs at least 2, but clips=1. Try: clips=16")
        empty = torch.zeros(MAX_ROWS, 3 + size, dtype=torch.float64)
        empty[:, 0] = torch.inf
        for state in ("generated", "real"):
            self.add_state(state, empty, dist_reduce_fx=keep_lowest)

    def update(self, videos: Videos, real: bool) -> None:
        """Add the features of a batch, and keep the rows of the lowest hashes."""
        features = self.network.extract(self.view, videos)
        features = features.double().view(len(features), -1, features.shape[-1])  # one row per clip or per frame
        keys, times = videos.clip["key"], range(features.shape[1])
        hashes = torch.tensor([[number_of(key, time) for time in times] for key in keys], dtype=torch.float64)
        clips = torch.tensor([number_of(key) for key in keys], dtype=torch.float64)
        about = [hashes, *(each[:, None].expand_as(hashes) for each in (clips, key_hash_split(keys)))]
        rows = torch.cat([torch.stack(about, -1).to(features.device), features], -1).flatten(0, 1)
        if real:
            self.real = keep_lowest(torch.cat([self.real, rows]))
        else:
            self.generated = keep_lowest(torch.cat([self.generated, rows]))

    def compute(self) -> MetricValues:
        """Return the distance of samples and real clips, and of the two halves of the real clips."""
        generated, real = (state[state[:, 0].isfinite()].cpu() for state in (self.generated, self.real))
        odd = real[:, 2] == 1
        pairs = {self.name: (generated, real), f"real/{self.name}": (real[~odd], real[odd])}
        values = {
            name: squared_mmd(one[:, 3:], other[:, 3:], one[:, 1], other[:, 1]) for name, (one, other) in pairs.items()
        }
        return {name: value for name, value in values.items() if math.isfinite(value)}


class KVD(KernelDistance):
    """Kernel distance of clip features."""

    view = "clips"


class KID(KernelDistance):
    """Kernel distance of frame features."""

    view = "frames"
