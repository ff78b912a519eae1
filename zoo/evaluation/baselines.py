"""Trivial samples that every model should be better than, and the ceiling of those without pairs.

They are measured under the protocol of a model, on the same clips, and stand beside it in every table. A video metric
that prefers them says nothing about quality.

Shapes: B clips, T frames, C channels, H x W pixels, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from zoo.data.base import ClipSet
from zoo.data.selection import FIRST, choose_clips
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.metric import MetricValues, Setup, Videos
from zoo.evaluation.past_baselines import CEILING
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.suite import Measurement, Suite
from zoo.types import IGNORED, Clip, sample_name

BLACK = -1.0
"""Value of a black pixel."""
MEAN_CLIPS = 256
"""Training clips that are averaged."""


class TrainingClips:
    """The training clips that baselines are made from. frames: T. selection: rule that orders the clips."""

    def __init__(self, clips: ClipSet, frames: int, selection: str = FIRST) -> None:
        self.clips, self.frames = clips, frames
        self.order = choose_clips(selection, len(clips), len(clips))

    def video(self, number: int) -> Tensor:
        """Video of a training clip as of the first epoch, (T, C, H, W); numbers beyond the last begin again."""
        return self.clips.clip(self.order[number % len(self.clips)], 0, self.frames)["video"]

    @cached_property
    def mean(self) -> Tensor:
        """Mean of the first MEAN_CLIPS clips, frame by frame, (T, C, H, W)."""
        count = min(MEAN_CLIPS, len(self.clips))
        total = torch.zeros_like(self.video(0), dtype=torch.float64)
        for number in range(count):
            total += self.video(number)
        return (total / count).float()


@dataclass(frozen=True)
class Made:
    """What a baseline makes samples of a batch from."""

    clip: Clip
    """The real clips; a baseline sees their first ``context`` frames, and their labels."""

    context: int
    """Number of given frames."""

    first: int
    """Number of the first sample of the batch."""

    training: TrainingClips
    """The training clips."""


@dataclass(frozen=True)
class Baseline:
    """One row of a table that is no model."""

    name: str
    """Name in results.jsonl."""

    title: str
    """Name in tables."""

    make: Callable[[Made], Tensor]
    """Make the samples of a batch, (B, T, C, H, W)."""

    needs: str = ""
    """What it is made from: `frames` (given ones, at least ``context``), `labels` (and given frames), `prediction`
    (given frames and no labels), or "" for training clips."""

    context: int = 1
    """Least number of given frames of a baseline that is made from these."""

    ceiling: bool = False
    """Real clips of the training split: a bound from above, not a trivial sample."""


def repeat_frame(made: Made) -> Tensor:
    """The given frames, and the last of them until the end."""
    video = made.clip["video"]
    given = video[:, : made.context]
    return torch.cat([given, given[:, -1:].expand(-1, video.shape[1] - made.context, -1, -1, -1)], 1)


def mean_of_given(made: Made) -> Tensor:
    """The given frames, then their mean until the end."""
    video = made.clip["video"]
    given = video[:, : made.context]
    return torch.cat([given, given.mean(1, keepdim=True).expand_as(video[:, made.context :])], 1)


def black_frames(made: Made) -> Tensor:
    """The given frames, then black. PSNR rewards it where most of a frame is black."""
    video = made.clip["video"]
    return torch.cat([video[:, : made.context], torch.full_like(video[:, made.context :], BLACK)], 1)


def paint_labels(made: Made) -> Tensor:
    """The given frames, then every label in its mean colour in the last of them; other labels in that frame's mean."""
    video, labels = made.clip["video"], made.clip["labels"] - IGNORED  # from 0 on
    frame, seen = video[:, made.context - 1], labels[:, made.context - 1]
    colours = _mean_colours(frame, seen, int(labels.max()) + 1)
    painted = torch.stack([table[ids] for table, ids in zip(colours, labels[:, made.context :], strict=True)])
    return torch.cat([video[:, : made.context], painted.movedim(-1, 2)], 1)


def _mean_colours(frame: Tensor, labels: Tensor, count: int) -> Tensor:
    """Mean colour of each label in a frame: (B, C, H, W) and ids (B, H, W) -> (B, K, C)."""
    pixels, ids = frame.flatten(2).transpose(1, 2), labels.flatten(1)  # (B, H W, C), (B, H W)
    sums = pixels.new_zeros(len(frame), count, pixels.shape[-1])
    sums.scatter_add_(1, ids[..., None].expand_as(pixels), pixels)
    counts = pixels.new_zeros(len(frame), count).scatter_add_(1, ids, torch.ones_like(ids, dtype=pixels.dtype))
    everywhere = pixels.mean(1, keepdim=True)
    return torch.where(counts[..., None] > 0, sums / counts[..., None].clamp(min=1), everywhere)


def training_mean(made: Made) -> Tensor:
    """The mean of the training clips, for every sample."""
    return made.training.mean.to(made.clip["video"]).expand_as(made.clip["video"])


def one_training_clip(made: Made) -> Tensor:
    """The first training clip, for every sample."""
    return made.training.video(0).to(made.clip["video"]).expand_as(made.clip["video"])


def black_clips(made: Made) -> Tensor:
    """Black, for every sample. A metric that looks for changes within a clip cannot fault it."""
    return torch.full_like(made.clip["video"], BLACK)


def training_clips(made: Made) -> Tensor:
    """A training clip for each sample."""
    video = made.clip["video"]
    return torch.stack([made.training.video(made.first + number).to(video) for number in range(len(video))])


def still_training_frames(made: Made) -> Tensor:
    """The first frame of a training clip for each sample, held still."""
    clips = training_clips(made)
    return clips[:, :1].expand_as(clips)


BASELINES = (
    Baseline("repeated_frame", "given frame repeated", repeat_frame, "frames"),
    Baseline("given_mean", "mean of the given frames", mean_of_given, "frames", context=2),
    Baseline("black_frames", "black frames", black_frames, "prediction"),
    Baseline("label_colours", "each label in its mean colour of the given frame", paint_labels, "labels"),
    Baseline("training_mean", "mean of the training clips", training_mean),
    Baseline("one_training_clip", "one training clip for all", one_training_clip),
    Baseline("black_clips", "black clips", black_clips),
    Baseline("still_training_frames", "training frames held still", still_training_frames),
    Baseline("training_clips", CEILING, training_clips, ceiling=True),
)


def find_baselines(context: int, paired: bool, from_labels: bool) -> list[Baseline]:
    """The baselines of a protocol: from the given frames where there are any, else from training clips.

    paired: each sample has a real clip that it should equal. from_labels: the model is given label maps.
    """
    given = context > 0
    possible = {
        "frames": given,
        "labels": given and from_labels,
        "prediction": given and not from_labels,
        "": not paired,
    }
    return [
        baseline
        for baseline in BASELINES
        if possible[baseline.needs] and (not baseline.needs or context >= baseline.context)
    ]


class MeasuredBaseline:
    """A baseline with a suite of metrics of its own.

    metrics: their names; those that compare several draws are left out. protocol, setup: as for the model.
    """

    def __init__(
        self, baseline: Baseline, metrics: Sequence[str], protocol: Protocol, setup: Setup, training: TrainingClips
    ) -> None:
        self.baseline, self.protocol, self.training = baseline, protocol, training
        names = [name for name in metrics if not METRICS[name].draws]
        self.suite = Suite(names, replace(protocol, draws=1), replace(setup, draws=1))
        self.clips = 0  # seen by `update`

    @property
    def title(self) -> str:
        """Name of the row in tables."""
        return self.baseline.title

    def update(self, clip: Clip, real: Videos) -> None:
        """Add a batch of real clips, and as many samples that are made from them. real: what is measured of them."""
        made = Made(clip, self.protocol.context, self.clips, self.training)
        self.suite.update(clip, [self.baseline.make(made)], real)
        self.clips += len(clip["video"])

    def compute(self) -> list[Measurement]:
        """What was measured, under the protocol of the model: of a trivial sample, every draw is the same."""
        draws = self.protocol.draws
        return [
            replace(each, protocol=replace(each.protocol, draws=draws), metrics=_with_draws(each.metrics, draws))
            for each in self.suite.compute()
        ]

    def add_samples(self, first: int, count: int, like: Tensor) -> None:
        """Add samples that belong to no clip, from number ``first`` on. like: a batch of videos, for its form."""
        clip: Any = {"video": like.new_empty(count, self.protocol.frames, *like.shape[2:])}
        names = [sample_name(number) for number in range(first, first + count)]
        self.suite.update_samples(names, self.baseline.make(Made(clip, 0, first, self.training)))


def _with_draws(values: MetricValues, draws: int) -> MetricValues:
    """Add the best and the worst of several equal draws to the paired metrics."""
    paired = {name: value for name, value in values.items() if name in METRICS and METRICS[name].paired}
    ends = ("best", "worst") if draws > 1 else ()
    return values | {f"{name}_{end}": value for name, value in paired.items() for end in ends}
