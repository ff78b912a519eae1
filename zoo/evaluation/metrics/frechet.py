"""Fréchet distance of two sets of features, each taken for a Gaussian.

FVD: Unterthiner et al. 2018, arXiv 1812.01717. FID: Heusel et al., NeurIPS 2017. And the same on the zoo's own
classifier.

Covariances divide by N - 1. Everything is summed as it comes, in double precision: memory does not grow with the clips.

Shapes: B clips, T frames, N clips or frames, D features.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ZooError
from zoo.evaluation.metric import Figures, Setup, VideoMetric, Videos
from zoo.evaluation.metrics.halves import halves

if TYPE_CHECKING:
    from zoo.models.classifier.model import Classifier


def moments(features: Tensor) -> Tensor:
    """Σ (1, x)ᵀ (1, x): how many, their sum, and the sum of their outer products; (N, D) -> (1 + D, 1 + D)."""
    rows = F.pad(features.double(), (1, 0), value=1.0)
    return rows.T @ rows


def mean_and_covariance(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Of what was summed, (1 + D, 1 + D) -> (D,), (D, D)."""
    count, total, outer = moments[0, 0], moments[0, 1:], moments[1:, 1:]
    mean = total / count
    return mean, (outer - mean.outer(total)) / (count - 1).clamp(min=1)


def frechet_distance(mean: Tensor, covariance: Tensor, mean2: Tensor, covariance2: Tensor) -> float:
    """|m₁ - m₂|² + Tr(S₁ + S₂ - 2 (S₁ S₂)^½), Dowson and Landau 1982.

    With S = A Aᵀ, the trace of the root is the sum of the singular values of A₁ᵀ A₂. That is real and exact where a
    covariance is nearly singular, and the square root of the product is neither.
    """
    shared = torch.linalg.svdvals(_root(covariance).T @ _root(covariance2)).sum()
    distance = (mean - mean2).square().sum() + covariance.trace() + covariance2.trace() - 2 * shared
    return max(float(distance), 0.0)


def _root(covariance: Tensor) -> Tensor:
    """A of S = A Aᵀ."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()  # type: ignore[no-any-return]


class Frechet(VideoMetric):
    """``<name>``, and ``real/<name>``: the distance of two halves of the real clips (by video), where each has more
    clips than there are features. That is a high floor: the distance of few clips is larger than that of many.

    size: features. clips: measured. counted: of each clip, 1 or its frames. instead: what else a user may type.
    """

    made: Tensor
    even: Tensor
    odd: Tensor

    def __init__(self, name: str, size: int, clips: int, counted: int = 1, instead: str = "") -> None:
        super().__init__()
        self.name, self.size = name, size
        if clips * counted <= size:
            raise ZooError(
                f"{name} compares covariances of {size} features, for which more than {size} "
                f"{'clips' if counted == 1 else 'frames'} are needed; {clips * counted} are measured. "
                f"Try: clips={size // counted + 1}{instead}"
            )
        for state in ("made", "even", "odd"):
            self.add_state(state, torch.zeros(1 + size, 1 + size, dtype=torch.float64), dist_reduce_fx="sum")

    @abstractmethod
    def features(self, videos: Videos) -> Tensor:
        """(B, D) or (B, T, D)."""

    def update(self, videos: Videos, real: bool) -> None:
        """Add the moments."""
        features = self.features(videos)
        if not real:
            self.made += moments(features.flatten(0, -2))
            return
        odd = halves(videos.clip["key"]).to(features.device)
        self.even += moments(features[~odd].flatten(0, -2))
        self.odd += moments(features[odd].flatten(0, -2))

    def compute(self) -> Figures:
        """Of the samples, and of the halves of the real clips."""
        made, even, odd = (state.cpu() for state in (self.made, self.even, self.odd))
        figures = {self.name: self._distance(made, even + odd)} if made[0, 0] and even[0, 0] + odd[0, 0] else {}
        if min(even[0, 0], odd[0, 0]) > self.size:
            figures[f"real/{self.name}"] = self._distance(even, odd)
        return figures

    def _distance(self, one: Tensor, other: Tensor) -> float:
        return frechet_distance(*mean_and_covariance(one), *mean_and_covariance(other))


class NetworkFrechet(Frechet):
    """Of one view of a network of features."""

    view: Literal["clips", "frames"]
    instead: str

    def __init__(self, name: str, setup: Setup) -> None:
        assert setup.features is not None
        size = setup.features.check(name, self.view, setup.frames)
        counted = setup.frames if self.view == "frames" else 1
        super().__init__(name, size, setup.clips, counted, f", or metrics={self.instead}, which has no such need")
        self.network = setup.features

    def features(self, videos: Videos) -> Tensor:
        """What the network sees."""
        return self.network.see(self.view, videos)


class FVD(NetworkFrechet):
    """Of features of clips. It is FVD proper with I3D alone; the name of the network is in its key."""

    view = "clips"
    instead = "kvd"


class FID(NetworkFrechet):
    """Of features of frames. It is FID proper with Inception alone."""

    view = "frames"
    instead = "kid"


class ClassifierFrechet(Frechet):
    """Of what the classifier reads the attributes from: features of this data, and not of photographs. Never to be
    compared with FVD, nor with another classifier's."""

    def __init__(self, name: str, setup: Setup) -> None:
        classifier = cast("Classifier", setup.classifier)
        super().__init__(name, classifier.encoder.features, setup.clips)
        self.classifier = classifier

    def features(self, videos: Videos) -> Tensor:
        """What the classifier sees."""
        return videos.once(self.classifier.features)
