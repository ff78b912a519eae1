"""Does a model repeat what it was trained on? The nearest training clip of each sample.

A clip is compared as a thumbnail: 4 evenly spaced frames, the first and the last among them, each reduced to 16 x 16
by the mean over areas. What is near in it shares layout, colours and large movements; detail does not count.

Shapes: B clips, N training clips, T frames, H x W pixels, D values of a thumbnail.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.evaluation.metric import Figures, Setup, VideoMetric, Videos

MOST = 1000  # training clips that are looked at
FRAMES, SIDE = 4, 16  # of a thumbnail
NEAR = 0.5  # of the usual distance
BINS, RANGE = 20_000, 2.0  # of the histogram: values lie in [-1, 1], so a distance is 2 at most


def thumbnails(video: Tensor) -> Tensor:
    """(B, T, 3, H, W) -> (B, D), shorter clips with all of their frames."""
    chosen = torch.linspace(0, video.shape[1] - 1, min(video.shape[1], FRAMES)).round().long()
    frames = video[:, chosen.to(video.device)].float()
    return F.interpolate(frames.flatten(0, 1), (SIDE, SIDE), mode="area").view(len(video), -1).double()


def nearest(these: Tensor, bank: Tensor) -> Tensor:
    """Root mean square distance to the nearest of the bank, (B, D), (N, D) -> (B,); exactly 0 for one that is in it."""
    distances = torch.cdist(these, bank, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.amin(1) / math.sqrt(these.shape[1])


class Memorisation(VideoMetric):
    """``memorisation``: mean distance of a sample to the nearest of the first 1,000 training clips, as they are in the
    first epoch. ``memorisation_share``: the share of samples that are nearer to one than half of what held-out clips
    are on average; distances are counted in steps of 0.0001. ``real/…``: the same of held-out clips.

    A model that has learnt, and repeats nothing, comes as near as held-out clips do.
    """

    made: Tensor
    made_counts: Tensor
    real: Tensor
    real_counts: Tensor

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        assert setup.training is not None
        self.name, self.training_clips = name, setup.training
        self.context, self.frames = setup.context, setup.frames
        self.bank: Tensor | None = None  # no state: it stays when figures are forgotten
        for side in ("made", "real"):
            self.add_state(side, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_counts", torch.zeros(BINS, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, videos: Videos, real: bool) -> None:
        """Find the nearest."""
        distances = nearest(thumbnails(videos.video), self._bank(videos.video.device))
        bins = (distances / RANGE * BINS).long().clamp(max=BINS - 1)
        counts = torch.bincount(bins, minlength=BINS)
        if real:
            self.real += distances.sum()
            self.real_counts += counts
        else:
            self.made += distances.sum()
            self.made_counts += counts

    def compute(self) -> Figures:
        """Of the samples, and of the real clips."""
        usual = float(self.real / self.real_counts.sum())
        near = int(NEAR * usual / RANGE * BINS)  # bins
        return {
            self.name: float(self.made / self.made_counts.sum()),
            f"{self.name}_share": float(self.made_counts[:near].sum() / self.made_counts.sum()),
            f"real/{self.name}": usual,
            f"real/{self.name}_share": float(self.real_counts[:near].sum() / self.real_counts.sum()),
        }

    def _bank(self, device: torch.device) -> Tensor:
        """The thumbnails of the training clips, (N, D); read when the first clips are shown."""
        if self.bank is None:
            numbers = range(min(MOST, len(self.training_clips)))
            clips = (self.training_clips.clip(i, 0, self.context + self.frames)["video"] for i in numbers)
            self.bank = torch.cat([thumbnails(video[None, self.context :].to(device)) for video in clips])
        return self.bank
