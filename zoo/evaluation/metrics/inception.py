"""Inception score (Salimans et al. 2016): high if each clip or frame clearly belongs to one class and all classes
occur.

Natural logarithms; one split of everything. Papers that use ten splits report lower scores if clips are few.

Shapes: N clips or frames, K classes.
"""

from __future__ import annotations

from typing import Literal

import torch

from zoo.evaluation.metric import MetricValues, Setup, VideoMetric, Videos
from zoo.evaluation.metrics.attribute_scores import entropy


class InceptionScore(VideoMetric):
    """``<name>``: exp of the mean KL(p(y | frame) || p(y)), from 1 to K; ``real/<name>``: that of the real clips."""

    of: Literal["clips", "frames"] = "frames"

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        assert setup.features is not None
        self.name, self.network = name, setup.features
        classes = setup.features.check(name, "probabilities", setup.frames, self.of)
        for side in ("generated", "real"):
            self.add_state(f"{side}_classes", torch.zeros(classes, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_entropy", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, videos: Videos, real: bool) -> None:
        """Add the class probabilities of a batch, and the entropy of each row."""
        probabilities = self.network.extract("probabilities", videos).double()
        side = "real" if real else "generated"
        for state, value in (("classes", probabilities.sum(0)), ("entropy", entropy(probabilities).sum())):
            setattr(self, f"{side}_{state}", getattr(self, f"{side}_{state}") + value)

    def compute(self) -> MetricValues:
        """Return the score of the samples and that of the real clips."""
        return self._score("generated", self.name) | self._score("real", f"real/{self.name}")

    def _score(self, side: str, name: str) -> MetricValues:
        classes, summed = getattr(self, f"{side}_classes"), getattr(self, f"{side}_entropy")
        count = classes.sum()  # a row of probabilities sums to one
        if not count:
            return {}
        return {name: float((entropy(classes / count) - summed / count).exp())}


class VideoIS(InceptionScore):
    """Inception score of clips instead of frames."""

    of = "clips"
