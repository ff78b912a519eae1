"""Metrics of a classifier's predictions: accuracy of the attributes, Inception score, and two entropies.

Natural logarithms throughout. Papers call the two entropies Inter-Entropy and Intra-Entropy, but not all mean the same
one by each name. Here they are called conditional and marginal: VideoVAE's Intra-E is the conditional entropy, its
Inter-E the marginal one.

Shapes: N clips, T frames, K values of an attribute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from zoo.blocks.attributes import UNKNOWN, clip_label
from zoo.evaluation.metric import MetricValues, Setup, VideoMetric, Videos

TINY = 1e-12  # keeps the logarithm of a probability that rounds to zero finite


def is_correct(probabilities: Tensor, ids: Tensor) -> Tensor:
    """1 where the likeliest value is the true one, else 0; NaN where the true value is unknown or changes in the clip.

    probabilities: (N, K). ids: of the true values, (N, T). Returns (N,).
    """
    truth = clip_label(ids)
    correct = (probabilities.argmax(-1) == truth).float()
    return torch.where(truth == UNKNOWN, torch.nan, correct)


def entropy(probabilities: Tensor) -> Tensor:
    """H(p) in nats, (..., K) -> (...)."""
    return -(probabilities * probabilities.clamp(min=TINY).log()).sum(-1)


def joint_probabilities(probabilities: Mapping[str, Tensor]) -> Tensor:
    """Probabilities of every combination of attributes, (N, K1) and (N, K2) and … -> (N, K1 · K2 · …).

    The protocol on Weizmann counts a combination (action x person) as one class. The classifier predicts the attributes
    independently of each other, so the product is exact.
    """
    return reduce(lambda a, b: (a[:, :, None] * b[:, None, :]).flatten(1), probabilities.values())


class AttributeScores(VideoMetric):
    """``accuracy_<attribute>``, over clips in which the attribute is known and constant; ``inception_score``, exp of
    the mean KL(p(y | clip) || p(y)) in one split (Salimans et al. 2016); ``conditional_entropy``, mean H(p(y | clip)),
    low if every clip clearly belongs to one class; and ``marginal_entropy``, H of the mean, at most log K, high if
    clips are spread over all classes.
    """

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        assert setup.classifier is not None
        self.name, self.classifier = name, setup.classifier
        self.attributes = list(self.classifier.spec.attributes)
        self.classes = math.prod(len(values) for values in self.classifier.spec.attributes.values())
        for side in ("generated", "real"):
            for state, length in (
                ("correct", len(self.attributes)),
                ("known", len(self.attributes)),
                ("entropy", 1),
                ("joint", self.classes),
                ("clips", 1),
            ):
                self.add_state(f"{side}_{state}", torch.zeros(length, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, videos: Videos, real: bool) -> None:
        """Classify a batch."""
        probabilities = videos.cached(self.classifier.classify)
        joint = joint_probabilities(probabilities).double()
        self._add(real, "entropy", entropy(joint).sum())
        self._add(real, "joint", joint.sum(0))
        self._add(real, "clips", len(joint))
        if "attributes" in videos.clip:
            ids = videos.clip["attributes"]
            correct = torch.stack([is_correct(probabilities[name], ids[name]) for name in self.attributes])
            self._add(real, "correct", correct.nansum(1))
            self._add(real, "known", (~correct.isnan()).sum(1))

    def compute(self) -> MetricValues:
        """Return the values of the samples and, as ``real/…``, of the real clips."""
        return self._values("generated", "") | self._values("real", "real/")

    def _add(self, real: bool, state: str, value: Any) -> None:
        name = f"{'real' if real else 'generated'}_{state}"
        setattr(self, name, getattr(self, name) + value)

    def _values(self, side: str, prefix: str) -> MetricValues:
        correct, known, summed, joint, clips = (
            getattr(self, f"{side}_{state}") for state in ("correct", "known", "entropy", "joint", "clips")
        )
        if not clips:
            return {}
        marginal, conditional = float(entropy(joint / clips)), float(summed / clips)
        accuracies = {
            f"{prefix}{self.name}_{name}": float(c / k)
            for name, c, k in zip(self.attributes, correct, known, strict=True)
            if k > 0
        }
        return accuracies | {
            f"{prefix}inception_score": math.exp(marginal - conditional),
            f"{prefix}conditional_entropy": conditional,
            f"{prefix}marginal_entropy": marginal,
        }
