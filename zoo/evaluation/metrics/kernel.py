"""Kernel distance of two sets of features: KID (Bińkowski et al. 2018), and KVD, the same for clips (Unterthiner et al.
2018).

The estimate is unbiased: its mean is 0 for two sets of one distribution, whatever their size, so it can fall below 0 by
chance. Rows of one clip are never compared, since they are not independent: neither a sample with the clip that it was
made from, nor two frames or draws of a clip. Otherwise samples that equal their clips would have a value far below 0.
It assumes no Gaussian, and values of different numbers of clips are comparable; few clips make it noisy.

Shapes: N and M clips or frames, D features.
"""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.metrics.feature_table import NetworkTable, Rows


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


class KernelDistance(NetworkTable):
    """``<name>``, and ``real/<name>``: the distance between two halves of the real clips (split by video), which shows
    how far from 0 chance alone leads."""

    def compare(self, generated: Rows, real: Rows) -> float:
        """The squared maximum mean discrepancy."""
        return squared_mmd(generated.features, real.features, generated.clips, real.clips)


class KVD(KernelDistance):
    """Kernel distance of clip features."""

    view = "clips"


class KID(KernelDistance):
    """Kernel distance of frame features."""

    view = "frames"
