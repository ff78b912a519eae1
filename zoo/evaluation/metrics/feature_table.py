"""Base of metrics that compare single features of samples and of real clips: a table of constant size for each side.

Shapes: B clips, T frames, N and M clips or frames, D features.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, cast

import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.evaluation.metric import MetricValues, Setup, VideoMetric, Videos
from zoo.evaluation.metrics.key_hash_split import key_hash_split
from zoo.randomness import number_of

if TYPE_CHECKING:
    from zoo.models.classifier.model import Classifier

MAX_ROWS = 2048
"""Clips or frames that are compared on each side; of more, those whose keys have the lowest hashes."""
COLUMNS = 3
"""Columns of a table before the features: hash, number of the clip, half."""


def keep_lowest(rows: Tensor) -> Tensor:
    """Keep the MAX_ROWS rows with the lowest hashes, (..., COLUMNS + D) -> (MAX_ROWS, COLUMNS + D).

    Rows of equal hashes, such as several draws of a clip, are ordered by their features.
    """
    rows = rows.flatten(0, -2)
    rows = rows[rows[:, COLUMNS:].sum(1).argsort()]
    return rows[rows[:, 0].argsort(stable=True)[:MAX_ROWS]]


class Rows:
    """Rows of a table: their features (N, D), and the number of the clip of each row (N,)."""

    def __init__(self, table: Tensor) -> None:
        self.features, self.clips = table[:, COLUMNS:], table[:, 1]

    def __len__(self) -> int:
        return len(self.features)


class FeatureTable(VideoMetric):
    """``<name>``, and ``real/<name>``: the same between two halves of the real clips (split by video).

    A state is a table of constant size. Each row holds the hash of a clip or frame (infinite in an empty row), the
    number of its clip, 1 for the second half of the clips, and the features. Raises ZooError for fewer than LEAST_CLIPS
    clips.
    """

    generated: Tensor
    real: Tensor

    LEAST_CLIPS: ClassVar[int] = 2

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        self.name = name
        size = self.open(setup)
        if setup.clips < self.LEAST_CLIPS:
            raise ZooError(
                f"{name} compares clips with each other and needs at least {self.LEAST_CLIPS}, "
                f"but clips={setup.clips}. Try: clips=16"
            )
        empty = torch.zeros(MAX_ROWS, COLUMNS + size, dtype=torch.float64)
        empty[:, 0] = torch.inf
        for state in ("generated", "real"):
            self.add_state(state, empty, dist_reduce_fx=keep_lowest)

    @abstractmethod
    def open(self, setup: Setup) -> int:
        """Keep the network that gives the features, and return their number D."""

    @abstractmethod
    def features(self, videos: Videos) -> Tensor:
        """Features of clips (B, D) or of frames (B, T, D)."""

    @abstractmethod
    def compare(self, generated: Rows, real: Rows) -> float:
        """Compare samples with real clips; NaN where there are too few rows."""

    def floor(self, one: Rows, other: Rows, generated: int, real: int) -> float:
        """``real/<name>`` of two halves of the real clips, for so many samples and real clips; NaN for too few rows."""
        return self.compare(one, other)

    def update(self, videos: Videos, real: bool) -> None:
        """Add the features of a batch, and keep the rows of the lowest hashes."""
        features = self.features(videos)
        features = features.double().view(len(features), -1, features.shape[-1])  # one row per clip or per frame
        keys, times = videos.clip["key"], range(features.shape[1])
        hashes = torch.tensor([[number_of(key, time) for time in times] for key in keys], dtype=torch.float64)
        clips = torch.tensor([number_of(key) for key in keys], dtype=torch.float64)
        about = [hashes, *(each[:, None].expand_as(hashes) for each in (clips, key_hash_split(keys)))]
        rows = torch.cat([torch.stack(about, -1).to(features.device), features], -1).flatten(0, 1)
        if real:
            self.real = keep_lowest(torch.cat([self.real, rows]))
        else:
            self.generated = keep_lowest(torch.cat([self.generated, rows]))

    def compute(self) -> MetricValues:
        """Return the value of samples and real clips, and that of the two halves of the real clips."""
        generated, real = (state[state[:, 0].isfinite()].cpu() for state in (self.generated, self.real))
        odd = real[:, 2] == 1
        values = {
            self.name: self.compare(Rows(generated), Rows(real)),
            f"real/{self.name}": self.floor(Rows(real[~odd]), Rows(real[odd]), len(generated), len(real)),
        }
        return {name: value for name, value in values.items() if math.isfinite(value)}


class NetworkTable(FeatureTable):
    """Features of one view of a feature network."""

    view: Literal["clips", "frames"] = "clips"

    def open(self, setup: Setup) -> int:
        """Keep the feature network."""
        assert setup.features is not None
        self.network = setup.features
        return setup.features.check(self.name, self.view, setup.frames)

    def features(self, videos: Videos) -> Tensor:
        """Features of the network."""
        return self.network.extract(self.view, videos)


class ClassifierTable(FeatureTable):
    """Features from which the classifier predicts the attributes."""

    def open(self, setup: Setup) -> int:
        """Keep the classifier."""
        self.classifier = cast("Classifier", setup.classifier)
        return self.classifier.encoder.features

    def features(self, videos: Videos) -> Tensor:
        """Features of the classifier, (B, D)."""
        return videos.cached(self.classifier.features)
