"""What a classifier reads off clips: accuracy of their attributes, Inception score, and the two entropies.

Natural logarithms throughout. Papers use the names Inter-Entropy and Intra-Entropy for either of the two entropies (and
swap them), so they are called here what they are: VideoVAE's Intra-E is the conditional, its Inter-E the marginal one.

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
from zoo.evaluation.metric import Figures, Setup, VideoMetric, Videos

TINY = 1e-12  # keeps the logarithm of a probability that rounds to zero finite


def hits(probabilities: Tensor, ids: Tensor) -> Tensor:
    """1 where the likeliest value is the true one, else 0, NaN where the truth is not one value all through the clip:
    (N, K) and (N, T) -> (N,)."""
    truth = clip_label(ids)
    right = (probabilities.argmax(-1) == truth).float()
    return torch.where(truth == UNKNOWN, torch.nan, right)


def entropy(probabilities: Tensor) -> Tensor:
    """H(p) in nats, (..., K) -> (...)."""
    return -(probabilities * probabilities.clamp(min=TINY).log()).sum(-1)


def joint(verdict: Mapping[str, Tensor]) -> Tensor:
    """Every combination of the attributes as one class, (N, K1 · K2 · …), as the protocol on Weizmann has it (action x
    person); the classifier reads the attributes independently of each other."""
    return reduce(lambda a, b: (a[:, :, None] * b[:, None, :]).flatten(1), verdict.values())


class AttributeScores(VideoMetric):
    """``accuracy_<attribute>`` (of clips in which it is known and stays), ``inception_score`` (exp of the mean
    KL(p(y | clip) || p(y)), in one split, Salimans et al. 2016), ``conditional_entropy`` (mean H(p(y | clip)); low:
    every clip is clearly something) and ``marginal_entropy`` (H of the mean, at most log K; high: clips of every kind).
    """

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        assert setup.classifier is not None
        self.name, self.classifier = name, setup.classifier
        self.attributes = list(self.classifier.spec.attributes)
        self.classes = math.prod(len(values) for values in self.classifier.spec.attributes.values())
        for side in ("made", "real"):
            for state, length in (
                ("right", len(self.attributes)),
                ("known", len(self.attributes)),
                ("entropy", 1),
                ("joint", self.classes),
                ("clips", 1),
            ):
                self.add_state(f"{side}_{state}", torch.zeros(length, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, videos: Videos, real: bool) -> None:
        """Ask the classifier."""
        verdict = videos.once(self.classifier.classify)
        whole = joint(verdict).double()
        self._add(real, "entropy", entropy(whole).sum())
        self._add(real, "joint", whole.sum(0))
        self._add(real, "clips", len(whole))
        if "attributes" in videos.clip:
            each = torch.stack([hits(verdict[name], videos.clip["attributes"][name]) for name in self.attributes])
            self._add(real, "right", each.nansum(1))
            self._add(real, "known", (~each.isnan()).sum(1))

    def compute(self) -> Figures:
        """Of the samples, and of the real clips: the bound."""
        return self._figures("made", "") | self._figures("real", "real/")

    def _add(self, real: bool, state: str, value: Any) -> None:
        name = f"{'real' if real else 'made'}_{state}"
        setattr(self, name, getattr(self, name) + value)

    def _figures(self, side: str, prefix: str) -> Figures:
        right, known, summed, whole, clips = (
            getattr(self, f"{side}_{state}") for state in ("right", "known", "entropy", "joint", "clips")
        )
        if not clips:
            return {}
        marginal, conditional = float(entropy(whole / clips)), float(summed / clips)
        accuracies = {
            f"{prefix}{self.name}_{name}": float(r / k)
            for name, r, k in zip(self.attributes, right, known, strict=True)
            if k > 0
        }
        return accuracies | {
            f"{prefix}inception_score": math.exp(marginal - conditional),
            f"{prefix}conditional_entropy": conditional,
            f"{prefix}marginal_entropy": marginal,
        }
