"""Do samples change over time as real clips do? Distances between the changes of samples and those of real clips.

A frame is split into three bands: what a 3 x 3 box filter removes, what a 9 x 9 one removes beyond that, and the rest.
The magnitude of a change is taken at every pixel of every band, so that blur is seen in the fine band, and a flicker of
the whole frame in the coarse one. Magnitudes are compared as distributions, over all pixels, frames and clips.

A distance of 0 means equal distributions, and 1 is that of a video that stands still. The amount of motion differs
between sets of real clips, so compare samples that are made from nothing with at least 48 clips, and look at
``real/<name>``. A video that runs backwards is not seen. `experiments/distortions` has values of known distortions.

Shapes: B clips, T frames, C channels, H x W pixels, M compared distributions, V magnitudes of a histogram.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ZooError
from zoo.evaluation.metric import MetricValues, Setup, VideoMetric, Videos
from zoo.evaluation.metrics.key_hash_split import key_hash_split

BOXES = (3, 9)
"""Sides of the box filters that separate the bands, in pixels."""
BANDS = len(BOXES) + 1
STEPS = 4096
LARGEST = 8.0
"""Magnitudes are rounded to ``LARGEST · (n / STEPS)²`` for an integer n: in steps of 1 % at 0.02, a typical change of a
pixel. A second difference of values in [-1, 1] is at most 4, and at most 8 in a band."""
LEAST_MEAN = 1e-3
"""Real clips whose mean change is smaller, an eighth of a grey level, count as having this one."""


def split_bands(video: Tensor) -> list[Tensor]:
    """Bands of every frame, from fine to coarse, which add up to the frame; (T, C, H, W) -> BANDS times the same.

    At the border, the mean is over the part of the box that lies inside the frame.
    """
    smooth = [F.avg_pool2d(video, box, 1, box // 2, count_include_pad=False) for box in BOXES]
    return [
        finer - coarser for finer, coarser in zip([video, *smooth], [*smooth, torch.zeros_like(video)], strict=True)
    ]


def histogram(change: Tensor) -> Tensor:
    """Counts of magnitudes, the mean of |change| over channels, (T, C, H, W) -> (V,). V is STEPS + 1."""
    magnitude = change.abs().mean(1).flatten()
    steps = ((magnitude / LARGEST).sqrt() * STEPS).round().long().clamp(max=STEPS)
    return torch.bincount(steps, minlength=STEPS + 1).double()


def relative_distance(generated: Tensor, real: Tensor) -> Tensor:
    """Wasserstein-1 distance of two distributions of magnitudes, divided by the mean of the real one.

    Histograms (..., V) and (..., V) -> (...). The distance in one dimension is the area between the distribution
    functions.
    """
    magnitudes = LARGEST * (torch.arange(STEPS + 1, dtype=torch.float64, device=real.device) / STEPS) ** 2
    one, other = (counts / counts.sum(-1, keepdim=True) for counts in (generated, real))
    area = ((one - other).cumsum(-1).abs()[..., :-1] * magnitudes.diff()).sum(-1)
    return area / (other * magnitudes).sum(-1).clamp(min=LEAST_MEAN)


class ChangeDistance(VideoMetric):
    """``<name>``: mean over M distributions of their relative distance, for samples and real clips. ``real/<name>``:
    the same for two halves of the real clips, split by video, which shows how far from 0 chance alone leads.

    A state holds histograms, (M, V) or (2, M, V) for the two halves.
    """

    generated: Tensor
    real: Tensor

    distributions: int

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        self.name = name
        shape = (self.distributions, STEPS + 1)
        self.add_state("generated", torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("real", torch.zeros((2, *shape), dtype=torch.float64), dist_reduce_fx="sum")

    @abstractmethod
    def changes(self, video: Tensor, previous: Tensor | None) -> Sequence[Tensor]:
        """Changes whose magnitudes are compared: M times (frames, C, H, W).

        video: one clip, (T, C, H, W). previous: the last given frame, (C, H, W), if frames are given.
        """

    def update(self, videos: Videos, real: bool) -> None:
        """Add the magnitudes of a batch."""
        previous = [None] * len(videos.video) if videos.previous is None else videos.previous
        counts = [
            torch.stack([histogram(change) for change in self.changes(video, frame)])
            for video, frame in zip(videos.video, previous, strict=True)
        ]
        if not real:
            self.generated += torch.stack(counts).sum(0)
            return
        for half, each in zip(key_hash_split(videos.clip["key"]).long(), counts, strict=True):
            self.real[half] += each

    def compute(self) -> MetricValues:
        """Return the distance of samples and real clips, and of the two halves of the real clips."""
        even, odd = self.real
        pairs = {self.name: (self.generated, even + odd), f"real/{self.name}": (even, odd)}
        return {
            name: float(relative_distance(one, other).mean())
            for name, (one, other) in pairs.items()
            if one.any() and other.any()
        }


class TemporalDistance(ChangeDistance):
    """First and second differences of consecutive frames: x_{t+1} − x_t, and x_{t+1} − 2 x_t + x_{t−1}.

    Second differences tell a steady movement from a shuffled one. Raises ZooError for fewer than three frames.
    """

    distributions = 2 * BANDS

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__(name, setup)
        if setup.frames < 3:
            raise ZooError(
                f"{name} compares 3 consecutive frames, but only {setup.frames} are measured. "
                f"Try: frames={setup.context + 3}"
            )

    def changes(self, video: Tensor, previous: Tensor | None) -> Sequence[Tensor]:
        """First differences of every band, then second differences."""
        first = [band.diff(dim=0) for band in split_bands(video)]
        return [*first, *(difference.diff(dim=0) for difference in first)]


class FirstStep(ChangeDistance):
    """The step from the last given frame to the first generated one: x_1 − x_0."""

    distributions = BANDS

    def changes(self, video: Tensor, previous: Tensor | None) -> Sequence[Tensor]:
        """The first step of every band."""
        assert previous is not None
        return [band.diff(dim=0) for band in split_bands(torch.stack([previous, video[0]]))]
