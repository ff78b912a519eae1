"""Base classes of the metrics. They are torchmetrics' `Metric`, which handles batches, ranks and devices.

A paired metric compares each frame of a sample with the real frame that it should equal. A video metric looks at real
clips and at samples separately. Both return their values by name.

Shapes: B clips, D draws, T frames, N frames of all clips, C channels (3 or 1), H x W pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.errors import ZooError
from zoo.evaluation.catalogue import better
from zoo.grey import to_rgb
from zoo.types import Clip

if TYPE_CHECKING:
    from zoo.data.base import ClipSet
    from zoo.evaluation.features.base import Features
    from zoo.flow.estimators import FlowEstimator
    from zoo.model import VideoModel

V = TypeVar("V")
MetricValues = dict[str, float]
"""Value by name: ``psnr``, ``psnr/17-64``, ``real/flicker``."""

WINDOWS = ((1, 16), (17, 64), (65, 256))
"""Windows of time for which a long clip has values of its own: first and last frame, counted from 1 after the context.
They show how quality changes over time."""


@dataclass(frozen=True)
class Setup:
    """What a metric is built with: the size of what is measured, and the tools."""

    frames: int
    """Frames of a clip that are measured, without the context."""

    clips: int
    """Number of clips over all ranks."""

    draws: int = 1
    """Samples for each clip."""

    context: int = 0
    """Real frames that the model sees first; they are not measured."""

    argument: str = ""
    """`MetricCard.argument` of the metric."""

    features: Features | None = None
    """Feature network, if one is given."""

    classifier: VideoModel[Any] | None = None
    """Classifier, if one is given."""

    segmenter: VideoModel[Any] | None = None
    """Segmenter, if one is given."""

    flow: FlowEstimator | None = None
    """Optical flow estimator."""

    training: ClipSet | None = None
    """Training clips of the model."""

    def with_argument(self, argument: str) -> Setup:
        """Return the same setup for a metric whose card has that argument."""
        return replace(self, argument=argument)


class Videos:
    """A batch of videos as a video metric sees them, (B, T, C, H, W); results that several metrics need are cached.

    clip: the fields of the clips, cut to the same frames; for samples, those of the clips that they were made from.
    """

    def __init__(self, video: Tensor, clip: Clip) -> None:
        self.video, self.clip = video, clip
        self._cache: dict[Any, Any] = {}

    @cached_property
    def rgb(self) -> Videos:
        """The same videos with three channels, as feature networks take them: grey is repeated."""
        return self if self.video.shape[2] == 3 else Videos(to_rgb(self.video), self.clip)

    def cached(self, function: Callable[[Tensor], V]) -> V:
        """Return ``function(video)``, computed on the first call only."""
        if function not in self._cache:
            self._cache[function] = function(self.video)
        return self._cache[function]


class FrameMeans(Metric):
    """Base of metrics that average over frames: over all frames, and over windows of time where clips are long.

    Every frame with a value has the same weight, whichever clip it belongs to. name: of the values. frames: T.
    """

    full_state_update = False

    def __init__(self, name: str, frames: int) -> None:
        super().__init__()
        self.name, self.frames = name, frames

    def add_sum(self, name: str, length: int) -> None:
        """Add a state of that length that is summed over clips and ranks."""
        self.add_state(name, torch.zeros(length, dtype=torch.float64), dist_reduce_fx="sum")

    def means(self, prefix: str, sums: Tensor, counts: Tensor, first: int) -> MetricValues:
        """Means over all frames and over each window; a window without values is left out.

        sums: over clips, (T,); entry 0 belongs to frame ``first``, counted from 1. counts: clips in each sum, (T,).
        """
        last = len(sums) + first - 1
        spans = {prefix: (first, last)}
        if last > WINDOWS[0][1]:
            spans |= {f"{prefix}/{start}-{min(end, last)}": (start, end) for start, end in WINDOWS}
        values = {}
        for name, (start, end) in spans.items():
            part = slice(max(start - first, 0), max(end - first + 1, 0))
            if count := float(counts[part].sum()):
                values[name] = float(sums[part].sum()) / count
        return values


class PairedMetric(FrameMeans):
    """Mean of a frame-wise comparison over clips, draws and frames.

    With several draws also ``<name>_best``: the mean over clips of the best draw, chosen by this metric itself (Denton
    and Fergus 2018, for SSIM and PSNR).
    """

    sums: Tensor
    best: Tensor
    clips: Tensor

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__(name, setup.frames)
        self.draws = setup.draws
        self.add_sum("sums", setup.frames)
        self.add_sum("best", 1)
        self.add_sum("clips", 1)

    @abstractmethod
    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Compare frames in [-1, 1] pair by pair: (N, 3, H, W) and (N, 3, H, W) -> (N,)."""

    def update(self, generated: Tensor, real: Tensor) -> None:
        """Add a batch: samples (B, D, T, 3, H, W) and their real clips (B, T, 3, H, W)."""
        target = real[:, None].expand_as(generated)
        values = self.compare(generated.flatten(0, 2), target.flatten(0, 2)).double().view(generated.shape[:3])
        self.sums += values.mean(1).sum(0)
        by_draw = values.mean(2)
        self.best += (by_draw.amax(1) if better(self.name) == "max" else by_draw.amin(1)).sum()
        self.clips += len(generated)

    def compute(self) -> MetricValues:
        """Return ``<name>``, its windows of time and ``<name>_best``."""
        values = self.means(self.name, self.sums, self.clips.expand_as(self.sums), 1)
        if self.draws > 1 and self.clips:
            values[f"{self.name}_best"] = float(self.best / self.clips)
        return values


class VideoMetric(Metric):
    """Base of metrics that look at real clips and at samples separately; built with ``(name, setup)``.

    ``compute`` returns ``<name>`` of the samples and, where the metric is defined for real clips, ``real/<name>``: the
    best value attainable.
    """

    full_state_update = False

    @abstractmethod
    def update(self, videos: Videos, real: bool) -> None:
        """Add a batch of real clips or of samples."""

    @abstractmethod
    def compute(self) -> MetricValues:
        """Return the values over every batch."""


class TemporalMetric(FrameMeans):
    """Base of metrics of consecutive frames, which are defined for samples and for real clips alike.

    skipped: number of first frames that have no value.
    """

    generated: Tensor
    generated_counts: Tensor
    real: Tensor
    real_counts: Tensor

    skipped = 1

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__(name, setup.frames)
        if setup.frames <= self.skipped:
            raise ZooError(
                f"{name} compares {self.skipped + 1} consecutive frames, but only {setup.frames} are measured. "
                f"Try: frames={setup.context + self.skipped + 1}"
            )
        for state in ("generated", "generated_counts", "real", "real_counts"):
            self.add_sum(state, setup.frames - self.skipped)

    @abstractmethod
    def values(self, videos: Videos, real: bool) -> Tensor:
        """One value per clip and frame, (B, T - skipped); NaN for a frame that does not count."""

    def update(self, videos: Videos, real: bool) -> None:
        """Add a batch of real clips or of samples."""
        values = self.values(videos, real).double()
        sums, counts = values.nansum(0), (~values.isnan()).sum(0)
        if real:
            self.real += sums
            self.real_counts += counts
        else:
            self.generated += sums
            self.generated_counts += counts

    def compute(self) -> MetricValues:
        """Return ``<name>`` and ``real/<name>``, with windows of time."""
        values = self.means(self.name, self.generated, self.generated_counts, 1 + self.skipped)
        real = self.means(self.name, self.real, self.real_counts, 1 + self.skipped)
        return values | {f"real/{name}": value for name, value in real.items()}
