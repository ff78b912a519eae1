"""Base classes of the metrics. They are torchmetrics' `Metric`, which handles batches, ranks and devices.

A paired metric compares each frame of a sample with the real frame that it should equal. A video metric looks at real
clips and at samples separately. Both return their values by name.

Shapes: B clips, T frames, N frames of all clips, C channels (3 or 1), H x W pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
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

FrameCurves = dict[str, list[float]]
"""Value of each measured frame by name, such as ``psnr`` and ``psnr_best``; the first belongs to the first frame after
the context."""

WINDOWS = ((1, 16), (17, 64), (65, 256))
"""Windows of time for which a long clip has values of its own: first and last frame, counted from 1 after the context.
They show how quality changes over time."""


@dataclass(frozen=True)
class Setup:
    """What a metric is built with: the size of what is measured, and the tools."""

    frames: int
    """Frames of a clip that are measured, without the context."""

    clips: int
    """Number of clips over all ranks, or of samples if those are fewer."""

    draws: int = 1
    """Samples for each clip."""

    context: int = 0
    """Real frames that the model sees first; they are not measured."""

    argument: str = ""
    """`MetricCard.argument` of the metric."""

    covariance_by_n: bool = False
    """Covariances of Fréchet distances divide by N instead of N - 1."""

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
    previous: the last given frame, which is real, (B, C, H, W); None where no frames are given.
    """

    def __init__(self, video: Tensor, clip: Clip, previous: Tensor | None = None) -> None:
        self.video, self.clip, self.previous = video, clip, previous
        self._cache: dict[Any, Any] = {}
        self._rgb: Videos | None = None

    @property
    def rgb(self) -> Videos:
        """The same videos with three channels, as feature networks take them: grey is repeated."""
        if self.video.shape[2] == 3:
            return self  # not kept as an attribute: a reference to itself would delay the release of the video
        if self._rgb is None:
            self._rgb = Videos(to_rgb(self.video), self.clip)
        return self._rgb

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

    With several draws also ``<name>_best`` and ``<name>_worst``: the mean over clips of the best and of the worst draw
    of each clip. This metric itself chooses them, by their mean over frames (Denton and Fergus 2018, for SSIM and
    PSNR). Draws come one after another, and of each clip only the values of the best and worst so far are kept.
    """

    sums: Tensor
    samples: Tensor
    best: Tensor
    worst: Tensor

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__(name, setup.frames)
        self.draws = setup.draws
        for state in ("sums", "best", "worst"):
            self.add_sum(state, setup.frames)
        self.add_sum("samples", 1)
        self._best_so_far = self._worst_so_far = torch.empty(0)  # of the clips of this batch, (B, T)

    @abstractmethod
    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Compare frames in [-1, 1] pair by pair: (N, C, H, W) and (N, C, H, W) -> (N,)."""

    def update(self, generated: Tensor, real: Tensor, draw: int) -> None:
        """Add one draw of a batch: samples and their real clips, both (B, T, C, H, W).

        draw: its number, from 0. All draws of a batch are added in order before the next batch.
        """
        values = self.compare(generated.flatten(0, 1), real.flatten(0, 1)).double().view(generated.shape[:2])
        self.sums += values.sum(0)
        self.samples += len(values)
        if self.draws > 1:
            self._choose(values, draw)

    def _choose(self, values: Tensor, draw: int) -> None:
        """Keep the best and the worst draw of each clip; add them up after the last draw. values: (B, T)."""
        if draw == 0:
            self._best_so_far = self._worst_so_far = values
        highest = better(self.name) == "max"
        self._best_so_far = choose_draw(self._best_so_far, values, highest)
        self._worst_so_far = choose_draw(self._worst_so_far, values, not highest)
        if draw == self.draws - 1:
            self.best += self._best_so_far.sum(0)
            self.worst += self._worst_so_far.sum(0)

    def compute(self) -> MetricValues:
        """Return ``<name>`` and its windows of time; with several draws also ``<name>_best`` and ``<name>_worst``."""
        values = self.means(self.name, self.sums, self.samples.expand_as(self.sums), 1)
        if self.draws > 1 and self.samples:
            clips = self.samples / self.draws
            values[f"{self.name}_best"] = float(self.best.mean() / clips)
            values[f"{self.name}_worst"] = float(self.worst.mean() / clips)
        return values

    def curves(self) -> FrameCurves:
        """Return the curve of each value over the frames, by the names of `compute`, over all ranks.

        The best draw of a clip is the same for all frames, so the mean of ``<name>_best`` over frames is its value.
        """
        with self.sync_context():
            if not self.samples:
                return {}
            curves = {self.name: self.sums / self.samples}
            if self.draws > 1:
                clips = self.samples / self.draws
                curves |= {f"{self.name}_best": self.best / clips, f"{self.name}_worst": self.worst / clips}
            return {name: curve.tolist() for name, curve in curves.items()}


def choose_draw(chosen: Tensor, values: Tensor, highest: bool) -> Tensor:
    """Of two draws of each clip, the one with the higher mean over frames, or the lower: (B, T), (B, T) -> (B, T).

    Of equal ones ``chosen`` stays.
    """
    gain = values.mean(1) - chosen.mean(1)
    return torch.where((gain > 0 if highest else gain < 0)[:, None], values, chosen)


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
