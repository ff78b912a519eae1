"""Distances of values: L1 and PSNR. Values are in [-1, 1], so their range is 2."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from zoo.evaluation.metric import PairedMetric

VALUE_RANGE = (-1.0, 1.0)


class L1(PairedMetric):
    """Mean absolute error, 0 to 2."""

    def compare(self, made: Tensor, real: Tensor) -> Tensor:
        """Over pixels and colours."""
        return (made - real).abs().mean((1, 2, 3))


class PSNR(PairedMetric):
    """10 log10(4 / mean squared error) in dB, of each; equal frames count as 100 dB, since theirs has no end."""

    MOST = 100.0

    def compare(self, made: Tensor, real: Tensor) -> Tensor:
        """Over pixels and colours."""
        each = peak_signal_noise_ratio(made, real, data_range=VALUE_RANGE, dim=(1, 2, 3), reduction="none")
        return each.clamp(max=self.MOST)
