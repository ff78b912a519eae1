"""Which temporal measures rank? Known distortions of real clips against every temporal metric, on puppets.

    python experiments/distortions/run.py          # measures, and writes results.jsonl: a few minutes on one core
    python experiments/distortions/run.py readme   # writes the tables into README.md, between its two marks

The samples are real clips of set 0 after a distortion. They are compared with the clips that they were made from, as
those of a model that translates, and with other real clips (sets 1 to 3), as those of a model that generates.

Shapes: B clips, T frames, C channels, H x W pixels.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import default_collate

from zoo.data.base import build_set
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.metric import Setup, Videos
from zoo.evaluation.metrics.frechet import frechet_distance, gaussian_statistics, mean_and_covariance
from zoo.evaluation.suite import last_given, without_context
from zoo.flow.estimators import FlowEstimator, build_estimator
from zoo.runs.provenance import find_commit
from zoo.types import Clip

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
README = HERE / "README.md"
MARKS = ("<!-- tables -->", "<!-- end of tables -->")

VIEWS = ("person", "street")
CLIPS, FRAMES, CONTEXT, SIDE = 48, 11, 1, 64
SETS = 4
"""Sets of CLIPS real clips: one that is distorted, and others."""
MARGIN = 1.2
"""A metric orders a distortion right if it puts the distorted clips farther off than the clips as they were, by this
factor, in every comparison."""
REQUIRED = ("blur 3", "blur 5", "blur 7", "shuffled", "frozen", "flicker")
CUTS = ("cut after the given frame", "cut in the middle")
"""A metric passes its test if it orders right, in both views, what is required, and one of the cuts."""
MOVING = 0.25
"""Pixels whose exact flow is longer count as moving, px per frame."""
BINS = 8


# ---------------------------------------------------------------- distortions


def blur(video: Tensor, side: int) -> Tensor:
    """Box filter of that side, in pixels."""
    padded = F.pad(video.flatten(0, 1), (side // 2,) * 4, mode="replicate")
    return F.avg_pool2d(padded, side, 1).view_as(video)


def flicker(video: Tensor) -> Tensor:
    """A shift of brightness for every frame, of standard deviation 0.1."""
    return video + 0.1 * torch.randn(*video.shape[:2], 1, 1, 1, generator=_numbers())


def noise(video: Tensor) -> Tensor:
    """Noise of every value, of standard deviation 0.05."""
    return video + 0.05 * torch.randn(video.shape, generator=_numbers())


def shuffle(video: Tensor) -> Tensor:
    """The frames after the given one in another order, the same for every clip."""
    return video[:, [0, *(1 + torch.randperm(video.shape[1] - 1, generator=_numbers())).tolist()]]


def freeze(video: Tensor) -> Tensor:
    """The given frame, repeated."""
    return video[:, :1].expand_as(video)


def cut(video: Tensor, first: int) -> Tensor:
    """Another clip from frame ``first`` on."""
    return torch.cat([video[:, :first], video.roll(1, 0)[:, first:]], 1)


def slow_down(video: Tensor) -> Tensor:
    """Half the speed: every second frame is the mean of its neighbours."""
    times = torch.arange(video.shape[1]) / 2
    return (video[:, times.floor().long()] + video[:, times.ceil().long()]) / 2


def repeat_frames(video: Tensor) -> Tensor:
    """Half the speed: every frame twice."""
    return video[:, torch.arange(video.shape[1]) // 2]


def darken(video: Tensor) -> Tensor:
    """0.8 of the brightness."""
    return 0.8 * (video + 1) - 1


def swap_colours(video: Tensor) -> Tensor:
    """Red, green and blue change places."""
    return video[:, :, [2, 0, 1]]


def reverse(video: Tensor) -> Tensor:
    """The frames after the given one backwards."""
    return torch.cat([video[:, :1], video[:, 1:].flip(1)], 1)


def _numbers() -> torch.Generator:
    return torch.Generator().manual_seed(0)


DISTORTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": torch.clone,
    "blur 3": partial(blur, side=3),
    "blur 5": partial(blur, side=5),
    "blur 7": partial(blur, side=7),
    "shuffled": shuffle,
    "frozen": freeze,
    "flicker": flicker,
    "cut after the given frame": partial(cut, first=1),
    "cut in the middle": partial(cut, first=6),
    "noise": noise,
    "half speed": slow_down,
    "every frame twice": repeat_frames,
    "backwards": reverse,
    "darker": darken,
    "wrong palette": swap_colours,
}


def distort(video: Tensor, name: str) -> Tensor:
    """A sample: the given frame as it is, and all others distorted; in [-1, 1]."""
    distorted = DISTORTIONS[name](video).clamp(-1, 1)
    return torch.cat([video[:, :CONTEXT], distorted[:, CONTEXT:]], 1)


# ---------------------------------------------------------------- metrics

CATALOGUE = ("temporal_distance", "first_step", "warping_error", "flicker", "motion")
PAIRED = ("warping_error_exact", "flow_error_dis")
"""Only the exact flow of the clip that a sample was made from says how it should move."""
WITHOUT_DIRECTION = ("flicker", "motion_dis")
"""Compared with the value of the real clips."""
COLUMNS = (
    "temporal_distance",
    "first_step",
    "warping_error_dis",
    "warping_error_exact",
    "flicker",
    "motion_dis",
    "flow_error_dis",
    "motion_frechet_dis",
)
"""The last two are candidates that the zoo does not have."""


def flow_error(videos: Videos, estimator: FlowEstimator) -> float:
    """Candidate: mean distance between the DIS flow of samples and the exact flow, where that moves, in pixels."""
    exact = videos.clip["flow"]
    moving = (exact.norm(dim=2) > MOVING) & (videos.clip["visibility"][:, :, 0] > 0)
    return float((videos.cached(estimator)[0] - exact).norm(dim=2)[moving].mean())


def motion_histograms(videos: Videos, estimator: FlowEstimator) -> Tensor:
    """Features of the candidate motion_frechet: histograms of 8 directions, weighted by log(1 + length), of DIS flow
    and of its change, (B, 16). After FVMD (Liu et al. 2024), which follows points instead."""
    flow = videos.cached(estimator)[0]
    return torch.cat([_directions(flow), _directions(flow.diff(dim=1))], 1)


def _directions(vectors: Tensor) -> Tensor:
    """Vectors (B, T, 2, H, W) -> (B, BINS)."""
    dx, dy = vectors.unbind(2)
    bins = ((torch.atan2(dy, dx) / torch.pi + 1) / 2 * BINS).long().clamp(max=BINS - 1).flatten(1)
    weights = vectors.norm(dim=2).log1p().flatten(1)
    return vectors.new_zeros(len(vectors), BINS).scatter_add_(1, bins, weights) / bins.shape[1]


def motion_frechet(generated: Tensor, real: Tensor) -> float:
    """Candidate: Fréchet distance of two sets of histograms."""
    one, other = (mean_and_covariance(gaussian_statistics(features)) for features in (generated, real))
    return frechet_distance(*one, *other)


class Measured:
    """Metrics of one set of videos: states of the catalogue's metrics, and features of motion_frechet."""

    def __init__(self, videos: Videos, real: bool) -> None:
        estimator = build_estimator("dis")
        setup = Setup(FRAMES - CONTEXT, CLIPS, context=CONTEXT, flow=estimator)
        self.metrics = {name: METRICS[name].load()(name, setup) for name in CATALOGUE}
        for metric in self.metrics.values():
            metric.update(videos, real)
        self.features = motion_histograms(videos, estimator)
        self.paired = {} if real else self._paired(videos, estimator)

    def _paired(self, videos: Videos, estimator: FlowEstimator) -> dict[str, float]:
        setup = Setup(FRAMES - CONTEXT, CLIPS, context=CONTEXT, flow=build_estimator("exact"))
        exact = METRICS["warping_error"].load()("warping_error", setup)
        exact.update(videos, False)
        return exact.compute() | {"flow_error_dis": flow_error(videos, estimator)}

    def against(self, real: Measured) -> dict[str, float]:
        """Values of these samples, compared with a set of real clips."""
        values: dict[str, float] = {}
        for name, metric in self.metrics.items():
            both = deepcopy(metric)
            both.merge_state(real.metrics[name])
            values |= both.compute()
        return values | {"motion_frechet_dis": motion_frechet(self.features, real.features)}


def real_clips(view: str, number: int, clips: int = CLIPS, frames: int = FRAMES) -> Clip:
    """One set of held-out clips."""
    fields = frozenset({"video", "flow", "visibility"})
    config = PuppetsConfig(view=view, height=SIDE, width=SIDE, frames=frames, crowd=0.0)
    found = build_set(config, "val", fields, seed=0)
    return default_collate([found.clip(index, 0, frames) for index in range(number * clips, (number + 1) * clips)])


def videos_of(video: Tensor, clip: Clip) -> Videos:
    """What a metric sees of samples, or of real clips: all but the given frame."""
    return Videos(video[:, CONTEXT:].contiguous(), without_context(clip, CONTEXT), last_given(clip, CONTEXT))


def measure() -> Iterator[dict[str, Any]]:
    """A line for each view, distortion and set of real clips."""
    commit = find_commit()
    for view in VIEWS:
        clips = [real_clips(view, number) for number in range(SETS)]
        real = [Measured(videos_of(clip["video"], clip), real=True) for clip in clips]
        for name in DISTORTIONS:
            sample = Measured(videos_of(distort(clips[0]["video"], name), clips[0]), real=False)
            for number in range(SETS):
                found = sample.against(real[number]) | (sample.paired if number == 0 else {})
                values = {key: round(value, 6) for key, value in found.items()}
                about = {"view": view, "distortion": name, "real_set": number, "clips": CLIPS, "frames": FRAMES}
                yield about | {"context": CONTEXT, "side": SIDE, "commit": commit, "metrics": values}


# ---------------------------------------------------------------- tables


class Results:
    """The lines of results.jsonl."""

    def __init__(self) -> None:
        lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
        self.values = {(line["view"], line["distortion"], line["real_set"]): line["metrics"] for line in lines}

    def badness(self, metric: str, view: str, distortion: str, number: int) -> float:
        """How far off the samples are: the value, or its distance from that of the real clips."""
        values = self.values[view, distortion, number]
        return abs(values[metric] - values[f"real/{metric}"]) if metric in WITHOUT_DIRECTION else values[metric]

    def is_right(self, metric: str, distortion: str, view: str) -> bool:
        """Whether the metric puts the distorted clips behind the undistorted ones, against every set of real clips."""
        numbers = range(1 if metric in PAIRED else SETS)
        badness = partial(self.badness, metric, view)
        return all(badness(distortion, number) > MARGIN * badness("none", number) for number in numbers)

    def right(self, metric: str) -> list[str]:
        """The distortions that the metric orders right in both views."""
        return [name for name in [*DISTORTIONS][1:] if all(self.is_right(metric, name, view) for view in VIEWS)]

    def passes(self, metric: str) -> bool:
        """Whether the metric passes its test."""
        right = set(self.right(metric))
        return right.issuperset(REQUIRED) and not right.isdisjoint(CUTS)

    def floor(self, metric: str, view: str) -> float:
        """Mean value of undistorted clips against other real clips."""
        values = [self.values[view, "none", number][metric] for number in range(1, SETS)]
        return sum(values) / len(values)


def tables() -> Iterator[str]:
    """Markdown lines: which metrics pass, then the values of each view."""
    results = Results()
    yield "| metric | passes | orders wrong, in one view at least |"
    yield "| --- | --- | --- |"
    for metric in COLUMNS:
        right = results.right(metric)
        wrong = [name for name in [*DISTORTIONS][1:] if name not in right]
        yield f"| `{metric}` | {'yes' if results.passes(metric) else 'no'} | {', '.join(wrong) or 'none'} |"
    for view in VIEWS:
        yield f"\n**{view}**\n"
        yield f"| distortion | {' | '.join(f'`{metric}`' for metric in COLUMNS)} |"
        yield "| --- |" + " ---: |" * len(COLUMNS)
        floor = ["" if metric in PAIRED else f"{results.floor(metric, view):.3g}" for metric in COLUMNS]
        for name in DISTORTIONS:
            yield f"| {name} | {' | '.join(_cell(results, metric, name, view) for metric in COLUMNS)} |"
            if name == "none":
                yield f"| none, against other real clips | {' | '.join(floor)} |"


def _cell(results: Results, metric: str, name: str, view: str) -> str:
    """The value against the clips that the samples were made from; a cross if the order is wrong."""
    wrong = name != "none" and not results.is_right(metric, name, view)
    return f"{results.values[view, name, 0][metric]:.3g}{' ✗' if wrong else ''}"


def readme(text: str) -> str:
    """README with the tables inserted between its two marks."""
    before, rest = text.split(MARKS[0])
    return before + MARKS[0] + "\n" + "\n".join(tables()) + "\n" + MARKS[1] + rest.split(MARKS[1])[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["readme"]:
        README.write_text(readme(README.read_text()))
    else:
        RESULTS.write_text("".join(json.dumps(line) + "\n" for line in measure()))
