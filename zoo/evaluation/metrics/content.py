"""Average content distance (ACD): how much what a clip shows changes from frame to frame.

Tulyakov et al., CVPR 2018, section 4: features of every frame, and the mean distance of all pairs of frames of a clip.
On shape motion the features are the mean colour of a frame; on faces they were those of a face recogniser. A frozen
clip and a black one have 0, so a low value alone means nothing: it is read beside that of the real clips and of the
trivial rows.

Shapes: N clips, T frames, C channels, H x W pixels, F features.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.evaluation.metric import MetricValues, Setup, VideoMetric, Videos
from zoo.grey import to_rgb

if TYPE_CHECKING:
    from zoo.models.classifier.model import Classifier

LEVELS = 255
"""Largest level of a colour. The paper states no unit, but its values up to 5.02 only fit levels of 0 to 255: a shape
covers at most 4.8 % of a frame."""


class ContentDistance(VideoMetric):
    """``<name>`` and ``real/<name>``: mean over clips of the mean Euclidean distance of all pairs of frames.

    Raises ZooError for clips of a single frame.
    """

    generated: Tensor
    real: Tensor

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        if setup.frames < 2:
            raise ZooError(
                f"{name} compares the frames of a clip, but only {setup.frames} is measured. "
                f"Try: frames={setup.context + 2}"
            )
        self.name = name
        for state in ("generated", "real"):
            self.add_state(state, torch.zeros(2, dtype=torch.float64), dist_reduce_fx="sum")  # distance, clips

    @abstractmethod
    def describe(self, video: Tensor) -> Tensor:
        """Features of every frame, (N, T, C, H, W) -> (N, T, F)."""

    def update(self, videos: Videos, real: bool) -> None:
        """Add a batch."""
        distances = mean_pair_distance(self.describe(videos.video))
        added = torch.stack([distances.sum(), distances.new_tensor(len(distances))])
        if real:
            self.real += added
        else:
            self.generated += added

    def compute(self) -> MetricValues:
        """Return the mean of the samples and of the real clips."""
        sides = {self.name: self.generated, f"real/{self.name}": self.real}
        return {name: float(state[0] / state[1]) for name, state in sides.items() if state[1]}


class ColourContent(ContentDistance):
    """ACD of the mean colour of a frame, in levels of 0 to 255."""

    def describe(self, video: Tensor) -> Tensor:
        """Mean colour, (N, T, 3); grey counts as three equal channels."""
        return (to_rgb(video).double().mean((3, 4)) + 1) / 2 * LEVELS


class ClassifierContent(ContentDistance):
    """ACD of the classifier's features of single frames, each as a clip of one frame.

    They tell identities apart as far as the classifier learnt identities as an attribute.
    """

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__(name, setup)
        self.classifier = cast("Classifier", setup.classifier)

    def describe(self, video: Tensor) -> Tensor:
        """Features of the classifier, (N, T, F)."""
        features = self.classifier.features(video.flatten(0, 1)[:, None])
        return features.double().view(*video.shape[:2], -1)


def mean_pair_distance(features: Tensor) -> Tensor:
    """Mean Euclidean distance of all pairs of different frames, (N, T, F) -> (N,).

    The differences are taken one by one: products of large vectors would leave equal frames a distance above 0.
    """
    frames = features.shape[1]
    total = features.new_zeros(len(features))
    for lag in range(1, frames):
        total += (features[:, lag:] - features[:, :-lag]).norm(dim=-1).sum(1)
    return total / (frames * (frames - 1) / 2)
