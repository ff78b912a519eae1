"""Fréchet distance of two sets of features, each taken for a Gaussian.

FVD: Unterthiner et al. 2018, arXiv 1812.01717. FID: Heusel et al., NeurIPS 2017. `ClassifierFrechet` is the same
distance on the features of the zoo's own classifier.

Covariances divide by N - 1, or by N where the protocol says so. Two sets of one distribution have a distance above 0,
nearly proportional to 1/N, which ``real/<name>`` shows. Sums are accumulated in double precision, so memory does not
grow with the number of clips.

Shapes: B clips, T frames, N clips or frames, D features.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ZooError
from zoo.evaluation.metric import MetricValues, Setup, VideoMetric, Videos
from zoo.evaluation.metrics.key_hash_split import key_hash_split

if TYPE_CHECKING:
    from zoo.models.classifier.model import Classifier

CLIPS_PER_FEATURE = 5
"""With fewer clips, or frames, for each feature a warning says that much of the distance is chance."""


def gaussian_statistics(features: Tensor) -> Tensor:
    """Sufficient statistics of a Gaussian, Σ (1, x)ᵀ (1, x): the count, the sum, and the sum of outer products.

    (N, D) -> (1 + D, 1 + D). Statistics of several batches add up.
    """
    rows = F.pad(features.double(), (1, 0), value=1.0)
    return rows.T @ rows


def mean_and_covariance(statistics: Tensor, by_n: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and covariance from accumulated statistics, (1 + D, 1 + D) -> (D,), (D, D).

    by_n: the covariance divides by N, as in the code of StyleGAN-V, and not by N - 1.
    """
    count, total, outer = statistics[0, 0], statistics[0, 1:], statistics[1:, 1:]
    mean = total / count
    return mean, (outer - mean.outer(total)) / (count if by_n else (count - 1).clamp(min=1))


def frechet_distance(mean: Tensor, covariance: Tensor, mean2: Tensor, covariance2: Tensor) -> float:
    """|m₁ - m₂|² + Tr(S₁ + S₂ - 2 (S₁ S₂)^½), Dowson and Landau 1982.

    With S = A Aᵀ, the trace of the root is the sum of the singular values of A₁ᵀ A₂. It is real and exact even where a
    covariance is nearly singular, unlike the square root of the product.
    """
    shared = torch.linalg.svdvals(_root(covariance).T @ _root(covariance2)).sum()
    distance = (mean - mean2).square().sum() + covariance.trace() + covariance2.trace() - 2 * shared
    return max(float(distance), 0.0)


def _root(covariance: Tensor) -> Tensor:
    """A of S = A Aᵀ."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()


class Frechet(VideoMetric):
    """``<name>``, and its floor ``real/<name>``: what real clips are apart by chance, at the same number of clips.

    The floor is the distance between two halves of the real clips (split by video), scaled to the sizes that are
    compared: by (1/N + 1/M) of samples and real clips over that of the halves. For two sets of one Gaussian, isotropic
    or with variances of 1/k, it is within 12 % of the true floor for every N above D. Samples that are made from the
    real clips, one for each, can be below it.

    size: number of features D. clips: that are measured. per_clip: feature vectors of a clip, 1 or its frames.
    alternative: end of the messages. Raises ZooError for no more clips than features, and warns below
    CLIPS_PER_FEATURE.
    """

    generated: Tensor
    even: Tensor
    odd: Tensor
    by_n = False  # what covariances divide by

    def __init__(self, name: str, size: int, clips: int, per_clip: int = 1, alternative: str = "") -> None:
        super().__init__()
        self.name, self.size = name, size
        if clips * per_clip <= size:
            raise ZooError(
                f"{name} compares covariances of {size} features, for which more than {size} "
                f"{'clips' if per_clip == 1 else 'frames'} are needed; {clips * per_clip} are measured. "
                f"Try: clips={size // per_clip + 1}{alternative}"
            )
        if clips * per_clip < CLIPS_PER_FEATURE * size:
            better = -(-CLIPS_PER_FEATURE * size // per_clip)
            warnings.warn(
                f"{name} of {clips * per_clip} {'clips' if per_clip == 1 else 'frames'} in {size} features has a high "
                f"floor, real/{name}: what real clips are apart by chance. Better: clips={better}{alternative}",
                stacklevel=2,
            )
        for state in ("generated", "even", "odd"):
            self.add_state(state, torch.zeros(1 + size, 1 + size, dtype=torch.float64), dist_reduce_fx="sum")

    @abstractmethod
    def features(self, videos: Videos) -> Tensor:
        """Features of clips (B, D) or of frames (B, T, D)."""

    def update(self, videos: Videos, real: bool) -> None:
        """Add the statistics of a batch."""
        features = self.features(videos)
        if not real:
            self.generated += gaussian_statistics(features.flatten(0, -2))
            return
        odd = key_hash_split(videos.clip["key"]).to(features.device)
        self.even += gaussian_statistics(features[~odd].flatten(0, -2))
        self.odd += gaussian_statistics(features[odd].flatten(0, -2))

    def compute(self) -> MetricValues:
        """Return the distance of samples and real clips, and the floor, if each half has two clips or frames."""
        generated, even, odd = (state.cpu() for state in (self.generated, self.even, self.odd))
        values, real = {}, even + odd
        if generated[0, 0] and real[0, 0]:
            values[self.name] = self._distance(generated, real)
            if min(even[0, 0], odd[0, 0]) > 1:
                scale = (1 / generated[0, 0] + 1 / real[0, 0]) / (1 / even[0, 0] + 1 / odd[0, 0])
                values[f"real/{self.name}"] = float(scale) * self._distance(even, odd)
        return values

    def _distance(self, one: Tensor, other: Tensor) -> float:
        moments = [mean_and_covariance(statistics, self.by_n) for statistics in (one, other)]
        return frechet_distance(*moments[0], *moments[1])


class NetworkFrechet(Frechet):
    """Fréchet distance on one view of a feature network."""

    view: Literal["clips", "frames"]
    alternative: str

    def __init__(self, name: str, setup: Setup) -> None:
        assert setup.features is not None
        size = setup.features.check(name, self.view, setup.frames)
        per_clip = setup.frames if self.view == "frames" else 1
        super().__init__(
            name, size, setup.clips, per_clip, f", or metrics={self.alternative}, which works with any number of clips"
        )
        self.network, self.by_n = setup.features, setup.covariance_by_n

    def features(self, videos: Videos) -> Tensor:
        """Features of the network."""
        return self.network.extract(self.view, videos)


class FVD(NetworkFrechet):
    """Fréchet distance of clip features. It is the published FVD with I3D only; the key names the network."""

    view = "clips"
    alternative = "kvd"


class FID(NetworkFrechet):
    """Fréchet distance of frame features. It is the published FID with Inception only; the key names the network."""

    view = "frames"
    alternative = "kid"


class ClassifierFrechet(Frechet):
    """Fréchet distance of the features from which the classifier predicts the attributes.

    They were learnt on this data set, not on photographs. The values are comparable neither with FVD nor with those of
    another classifier.
    """

    def __init__(self, name: str, setup: Setup) -> None:
        classifier = cast("Classifier", setup.classifier)
        super().__init__(name, classifier.encoder.features, setup.clips)
        self.classifier, self.by_n = classifier, setup.covariance_by_n

    def features(self, videos: Videos) -> Tensor:
        """Features of the classifier, (B, D)."""
        return videos.cached(self.classifier.features)
