"""Sharpness: how much of the real clips' gradients a sample keeps. A blurred mean of all futures has little.

Shapes: B clips, T frames, C channels, H x W pixels.
"""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.metric import MetricValues, TemporalMetric, Videos


class Sharpness(TemporalMetric):
    """Gradient energy of the samples over that of the real clips: 1 is as sharp as real, less is blurred.

    The energy of a frame is the mean of its squared differences between neighbouring pixels, across plus down.
    """

    skipped = 0

    def values(self, videos: Videos, real: bool) -> Tensor:
        """Gradient energy of each frame, (B, T)."""
        video = videos.video
        return mean_square(video.diff(dim=-1)) + mean_square(video.diff(dim=-2))

    def compute(self) -> MetricValues:
        """Return ``<name>`` and its windows of time: energies over all clips, divided; NaN if no real frame has any."""
        energies = super().compute()
        return {
            name: energy / energies[f"real/{name}"] if energies.get(f"real/{name}") else float("nan")
            for name, energy in energies.items()
            if not name.startswith("real/")
        }


def mean_square(differences: Tensor) -> Tensor:
    """Mean square over channels and pixels, (B, T, C, H, W) -> (B, T)."""
    return differences.square().mean((2, 3, 4))
