"""What a metric is: torchmetrics' Metric, so that batches, ranks and devices are its business, fed with videos.

Two kinds. A paired metric compares each frame of a sample with the real frame that it should equal. A video metric
looks at real clips and at samples, each by themselves. Both give figures by name.

Shapes: B clips, D draws, T frames, H x W pixels.
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
from zoo.types import Clip

if TYPE_CHECKING:
    from zoo.data.base import ClipSet
    from zoo.evaluation.features.base import Features
    from zoo.flow.estimators import FlowEstimator
    from zoo.model import VideoModel

V = TypeVar("V")
Figures = dict[str, float]
WINDOWS = ((1, 16), (17, 64), (65, 256))
"""Frames, counted from 1 after those that were given, of which a figure is also taken by itself: quality over time."""


@dataclass(frozen=True)
class Setup:
    """What a metric is built for and with. frames: of what is measured, without the ``context`` that was given. clips:
    how many over all ranks. draws: samples for each. argument: of the metric's card. The rest are the tools, None where
    there is none."""

    frames: int
    clips: int
    draws: int = 1
    context: int = 0
    argument: str = ""
    features: Features | None = None
    classifier: VideoModel[Any] | None = None
    segmenter: VideoModel[Any] | None = None
    flow: FlowEstimator | None = None
    training: ClipSet | None = None

    def of(self, argument: str) -> Setup:
        """The same for a metric whose card has that argument."""
        return replace(self, argument=argument)


class Videos:
    """Clips as a video metric sees them, (B, T, 3, H, W); what several metrics need of them is computed once.

    clip: what is known of them, its fields cut to the same frames; of samples, what they were made from.
    """

    def __init__(self, video: Tensor, clip: Clip) -> None:
        self.video, self.clip = video, clip
        self._known: dict[Any, Any] = {}

    def once(self, of: Callable[[Tensor], V]) -> V:
        """``of(video)``, computed when it is first asked for."""
        if of not in self._known:
            self._known[of] = of(self.video)
        return self._known[of]  # type: ignore[no-any-return]


class FrameMeans(Metric):
    """Base of metrics that are means over frames: over all, and over windows of time where clips are long. Every frame
    of every clip that has a value counts alike.

    name: of the figures. frames: of what is measured, T.
    """

    full_state_update = False

    def __init__(self, name: str, frames: int) -> None:
        super().__init__()
        self.name, self.frames = name, frames

    def add_sum(self, name: str, length: int) -> None:
        """A sum over clips that ranks add up."""
        self.add_state(name, torch.zeros(length, dtype=torch.float64), dist_reduce_fx="sum")

    def means(self, prefix: str, sums: Tensor, counts: Tensor, first: int) -> Figures:
        """Figures of sums over clips, (T,), the first of which is of frame ``first`` (from 1); ``counts``: of how many
        clips each is. What nothing is known of is left out."""
        last = len(sums) + first - 1
        spans = {prefix: (first, last)}
        if last > WINDOWS[0][1]:
            spans |= {f"{prefix}/{start}-{min(end, last)}": (start, end) for start, end in WINDOWS}
        figures = {}
        for name, (start, end) in spans.items():
            part = slice(max(start - first, 0), max(end - first + 1, 0))
            if count := float(counts[part].sum()):
                figures[name] = float(sums[part].sum()) / count
        return figures


class PairedMetric(FrameMeans):
    """Mean over clips, draws and frames of a comparison of two frames. With several draws also ``<name>_best``, of each
    clip's best draw, where each metric chooses its own best (Denton and Fergus 2018 choose so for SSIM and PSNR)."""

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
    def compare(self, made: Tensor, real: Tensor) -> Tensor:
        """(N, 3, H, W) twice, in [-1, 1], to (N,)."""

    def update(self, made: Tensor, real: Tensor) -> None:
        """(B, D, T, 3, H, W), (B, T, 3, H, W)."""
        truth = real[:, None].expand_as(made)
        values = self.compare(made.flatten(0, 2), truth.flatten(0, 2)).double().view(made.shape[:3])
        self.sums += values.mean(1).sum(0)
        by_draw = values.mean(2)
        self.best += (by_draw.amax(1) if better(self.name) == "max" else by_draw.amin(1)).sum()
        self.clips += len(made)

    def compute(self) -> Figures:
        """``<name>``, its windows, ``<name>_best``."""
        figures = self.means(self.name, self.sums, self.clips.expand_as(self.sums), 1)
        if self.draws > 1 and self.clips:
            figures[f"{self.name}_best"] = float(self.best / self.clips)
        return figures


class VideoMetric(Metric):
    """Looks at real clips and at samples, built by ``(name, setup)``. ``compute`` gives ``<name>`` of the samples and,
    where the real clips have such a number of their own, ``real/<name>``: its floor or bound."""

    full_state_update = False

    @abstractmethod
    def update(self, videos: Videos, real: bool) -> None:
        """Look at a batch."""

    @abstractmethod
    def compute(self) -> Figures:
        """All that was seen."""


class SteadinessMetric(FrameMeans):
    """Base of metrics of how frames follow each other: real clips and samples have the same number, side by side.

    skipped: how many of the first frames have no value.
    """

    made: Tensor
    made_counts: Tensor
    real: Tensor
    real_counts: Tensor

    skipped = 1

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__(name, setup.frames)
        if setup.frames <= self.skipped:
            raise ZooError(
                f"{name} compares {self.skipped + 1} frames that follow each other; {setup.frames} are made."
            )
        for state in ("made", "made_counts", "real", "real_counts"):
            self.add_sum(state, setup.frames - self.skipped)

    @abstractmethod
    def values(self, videos: Videos, real: bool) -> Tensor:
        """One number a clip and frame, (B, T - skipped); NaN of a frame that does not count."""

    def update(self, videos: Videos, real: bool) -> None:
        """Look at a batch."""
        values = self.values(videos, real).double()
        sums, counts = values.nansum(0), (~values.isnan()).sum(0)
        if real:
            self.real += sums
            self.real_counts += counts
        else:
            self.made += sums
            self.made_counts += counts

    def compute(self) -> Figures:
        """``<name>`` and ``real/<name>``, with windows of time."""
        figures = self.means(self.name, self.made, self.made_counts, 1 + self.skipped)
        real = self.means(self.name, self.real, self.real_counts, 1 + self.skipped)
        return figures | {f"real/{name}": value for name, value in real.items()}
