"""Memorisation: the distance of each sample to the nearest training clip.

Clips are compared as thumbnails: 4 evenly spaced frames, first and last included, each reduced to 16 x 16 by averaging
over areas. Clips with similar thumbnails share layout, colours and large movements; details do not count.

Shapes: B clips, N training clips, T frames, C channels, H x W pixels, D values of a thumbnail.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.evaluation.metric import MetricValues, Setup, VideoMetric, Videos

MAX_TRAINING_CLIPS = 1000
FRAMES, SIDE = 4, 16  # of a thumbnail
NEAR = 0.5  # of the mean distance of held-out clips
BINS, RANGE = 20_000, 2.0  # of the histogram: pixels are in [-1, 1], so a distance is at most 2


def thumbnails(video: Tensor) -> Tensor:
    """Reduce clips to thumbnails, (B, T, C, H, W) -> (B, D). Clips of fewer than 4 frames keep them all."""
    chosen = torch.linspace(0, video.shape[1] - 1, min(video.shape[1], FRAMES)).round().long()
    frames = video[:, chosen.to(video.device)].float()
    return F.interpolate(frames.flatten(0, 1), (SIDE, SIDE), mode="area").view(len(video), -1).double()


def nearest_distances(clips: Tensor, bank: Tensor) -> Tensor:
    """Root mean square distance to the nearest thumbnail of the bank, (B, D), (N, D) -> (B,).

    It is exactly 0 for a clip that is in the bank.
    """
    distances = torch.cdist(clips, bank, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.amin(1) / math.sqrt(clips.shape[1])


class Memorisation(VideoMetric):
    """``memorisation``: mean distance of a sample to the nearest of the first 1,000 training clips, as they are in the
    first epoch. ``memorisation_share``: share of samples whose distance is below half of the mean distance of held-out
    clips, in steps of 0.0001. ``real/…``: the same of held-out clips.

    A model that generalises comes about as near to the training clips as held-out clips do.
    """

    generated: Tensor
    generated_counts: Tensor
    real: Tensor
    real_counts: Tensor

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        assert setup.training is not None
        self.name, self.training_clips = name, setup.training
        self.context, self.frames = setup.context, setup.frames
        self.bank: Tensor | None = None  # not a state, so reset keeps it
        for side in ("generated", "real"):
            self.add_state(side, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_counts", torch.zeros(BINS, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, videos: Videos, real: bool) -> None:
        """Add the distances of a batch."""
        distances = nearest_distances(thumbnails(videos.video), self._bank(videos.video.device))
        bins = (distances / RANGE * BINS).long().clamp(max=BINS - 1)
        counts = torch.bincount(bins, minlength=BINS)
        if real:
            self.real += distances.sum()
            self.real_counts += counts
        else:
            self.generated += distances.sum()
            self.generated_counts += counts

    def compute(self) -> MetricValues:
        """Return the values of the samples and of the real clips."""
        real_mean = float(self.real / self.real_counts.sum())
        near = int(NEAR * real_mean / RANGE * BINS)  # bins
        return {
            self.name: float(self.generated / self.generated_counts.sum()),
            f"{self.name}_share": float(self.generated_counts[:near].sum() / self.generated_counts.sum()),
            f"real/{self.name}": real_mean,
            f"real/{self.name}_share": float(self.real_counts[:near].sum() / self.real_counts.sum()),
        }

    def _bank(self, device: torch.device) -> Tensor:
        """Thumbnails of the training clips, (N, D), read on the first update."""
        if self.bank is None:
            numbers = range(min(MAX_TRAINING_CLIPS, len(self.training_clips)))
            clips = (self.training_clips.clip(i, 0, self.context + self.frames)["video"] for i in numbers)
            self.bank = torch.cat([thumbnails(video[None, self.context :].to(device)) for video in clips])
        return self.bank
