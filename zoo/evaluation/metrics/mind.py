"""MIND, the Monge Inception Distance (Berthet et al. 2026, arXiv 2605.06797), in features of clips.

It is the mean of the squared Wasserstein-2 distance of the two sets of features along random directions, times 3 D.
Along a direction the distance is exact, since sorting solves the transport problem. It assumes no Gaussian, and may be
computed from fewer clips than there are features.

Shapes: N and M clips, D features, P directions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.evaluation.metrics.feature_table import ClassifierTable, FeatureTable, NetworkTable, Rows
from zoo.randomness import generator

DIRECTIONS, SEED = 1000, 0


def directions(size: int) -> Tensor:
    """Random unit vectors, the same ones for every measurement of D features, (D, P)."""
    drawn = torch.randn(size, DIRECTIONS, generator=generator(SEED), dtype=torch.float64)
    return drawn / drawn.norm(dim=0)


def squared_wasserstein(one: Tensor, other: Tensor) -> Tensor:
    """Squared Wasserstein-2 distance of one-dimensional samples, (N, P), (M, P) -> (P,).

    It is the mean squared difference of the quantile functions, which are constant between multiples of 1/N and 1/M.
    """
    N, M = len(one), len(other)
    ends = torch.cat([torch.arange(1, N + 1) * M, torch.arange(1, M + 1) * N]).sort().values  # in units of 1 / (N M)
    widths = ends.diff(prepend=torch.zeros(1, dtype=ends.dtype)).double() / (N * M)
    quantiles = one.sort(0).values[(ends - 1) // M], other.sort(0).values[(ends - 1) // N]
    return widths @ (quantiles[0] - quantiles[1]).square()


def monge_distance(one: Tensor, other: Tensor) -> float:
    """MIND of two sets of features, (N, D) and (M, D); NaN if one is empty."""
    if not len(one) or not len(other):
        return math.nan
    size = one.shape[1]
    along = directions(size)
    return 3 * size * float(squared_wasserstein(one @ along, other @ along).mean())


class Mind(FeatureTable):
    """``<name>``, and its floor ``real/<name>``: the distance between two halves of the real clips (split by video),
    scaled by (1/N + 1/M) of samples and real clips over that of the halves."""

    def compare(self, generated: Rows, real: Rows) -> float:
        """MIND of samples and real clips."""
        return monge_distance(generated.features, real.features)

    def floor(self, one: Rows, other: Rows, generated: int, real: int) -> float:
        """MIND of the halves, scaled to the sizes that are compared."""
        if not min(len(one), len(other), generated):
            return math.nan
        scale = (1 / generated + 1 / real) / (1 / len(one) + 1 / len(other))
        return scale * self.compare(one, other)


class NetworkMind(Mind, NetworkTable):
    """MIND in features of a network, one row a clip."""


class ClassifierMind(Mind, ClassifierTable):
    """MIND in the features of the classifier."""
