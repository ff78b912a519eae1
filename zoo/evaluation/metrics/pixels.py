"""Paired metrics of pixel values.

Shapes: N frames, C channels, H x W pixels.
"""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from zoo.evaluation.metric import PairedMetric

VALUE_RANGE = (-1.0, 1.0)


class L1(PairedMetric):
    """Mean absolute error, 0 to 2."""

    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Mean over pixels and channels, (N, C, H, W) twice -> (N,)."""
        return (generated - real).abs().mean((1, 2, 3))


class PSNR(PairedMetric):
    """10 log10(4 / mean squared error) in dB, of each frame; equal frames count as 100 dB instead of infinity."""

    MAX_DB = 100.0

    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Over pixels and channels, (N, C, H, W) twice -> (N,)."""
        each = peak_signal_noise_ratio(generated, real, data_range=VALUE_RANGE, dim=(1, 2, 3), reduction="none")
        return each.clamp(max=self.MAX_DB)
