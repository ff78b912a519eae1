"""Improved precision and recall of two sets of features (Kynkäänniemi et al., NeurIPS 2019, arXiv 1904.06991).

Precision is the share of samples that lie among the real clips, recall the share of real clips that lie among the
samples. A set of features stands for all points within reach of one of them: no farther from it than its NEIGHBOURS-th
nearest neighbour of the same set. Good samples of one kind only have high precision and low recall.

Shapes: N and M clips, D features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.evaluation.metric import Setup
from zoo.evaluation.metrics.feature_table import ClassifierTable, FeatureTable, NetworkTable, Rows

NEIGHBOURS = 3


def distances(one: Tensor, other: Tensor) -> Tensor:
    """Euclidean distances, (N, D), (M, D) -> (N, M), exactly 0 for equal rows."""
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")


def share_within(points: Tensor, among: Tensor) -> float:
    """Share of points (N, D) within reach of a row of ``among`` (M, D), Eq. 1 and 2; NaN for M ≤ NEIGHBOURS."""
    if len(among) <= NEIGHBOURS or not len(points):
        return math.nan
    reach = distances(among, among).kthvalue(NEIGHBOURS + 1).values  # the nearest row is the row itself
    return float((distances(points, among) <= reach).any(1).double().mean())


class PrecisionRecall(FeatureTable):
    """``<name>_k3``, where 3 is NEIGHBOURS. ``real/…`` is the share of one half of the real clips within the other
    half: what new real clips would have. Samples that are made from the real clips, one for each, can have more.

    The argument of the card says which of the two it is. Raises ZooError for NEIGHBOURS clips or fewer.
    """

    LEAST_CLIPS = NEIGHBOURS + 1

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__(name, setup)
        self.name, self.of_real = f"{name}_k{NEIGHBOURS}", setup.argument == "recall"

    def compare(self, generated: Rows, real: Rows) -> float:
        """Precision: of the samples within the real clips. Recall: of the real clips within the samples."""
        points, among = (real, generated) if self.of_real else (generated, real)
        return share_within(points.features, among.features)


class NetworkPrecisionRecall(PrecisionRecall, NetworkTable):
    """Precision or recall in features of a network, one row a clip."""


class ClassifierPrecisionRecall(PrecisionRecall, ClassifierTable):
    """Precision or recall in the features of the classifier."""
