"""Inception score: are clips (or frames) clearly something, and all together of every kind? Salimans et al. 2016.

Natural logarithms, one split of all there is. Papers with ten splits have lower numbers where clips are few.

Shapes: N clips or frames, K classes.
"""

from __future__ import annotations

from typing import Literal

import torch

from zoo.evaluation.metric import Figures, Setup, VideoMetric, Videos
from zoo.evaluation.metrics.classified import entropy


class InceptionScore(VideoMetric):
    """``<name>``: exp of the mean KL(p(y | frame) || p(y)), from 1 to K; ``real/<name>``: that of the real clips."""

    of: Literal["clips", "frames"] = "frames"

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        assert setup.features is not None
        self.name, self.network = name, setup.features
        classes = setup.features.check(name, "probabilities", setup.frames, self.of)
        for side in ("made", "real"):
            self.add_state(f"{side}_classes", torch.zeros(classes, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_entropy", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, videos: Videos, real: bool) -> None:
        """Add probabilities, and the entropy of each."""
        probabilities = self.network.see("probabilities", videos).double()
        side = "real" if real else "made"
        for state, value in (("classes", probabilities.sum(0)), ("entropy", entropy(probabilities).sum())):
            setattr(self, f"{side}_{state}", getattr(self, f"{side}_{state}") + value)

    def compute(self) -> Figures:
        """Of the samples, and of the real clips."""
        return self._score("made", self.name) | self._score("real", f"real/{self.name}")

    def _score(self, side: str, name: str) -> Figures:
        classes, summed = getattr(self, f"{side}_classes"), getattr(self, f"{side}_entropy")
        count = classes.sum()  # a row of probabilities sums to one
        if not count:
            return {}
        return {name: float((entropy(classes / count) - summed / count).exp())}


class VideoIS(InceptionScore):
    """Of clips."""

    of = "clips"
