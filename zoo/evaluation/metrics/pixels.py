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


class SquaredErrorSum(PairedMetric):
    """Sum of the squared errors of a frame, for pixels in [0, 1]: the MSE of OpenSTL and PredRNN.

    It grows with the size of the frame and the number of channels. Papers on Moving MNIST report it at 64 x 64 with one
    channel.
    """

    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Sum over pixels and channels, (N, C, H, W) twice -> (N,)."""
        return ((generated - real) / 2).square().sum((1, 2, 3))


class AbsoluteErrorSum(PairedMetric):
    """Sum of the absolute errors of a frame, for pixels in [0, 1]: the MAE of OpenSTL and PredRNN."""

    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Sum over pixels and channels, (N, C, H, W) twice -> (N,)."""
        return ((generated - real) / 2).abs().sum((1, 2, 3))


class PSNR(PairedMetric):
    """10 log10(4 / mean squared error) in dB, of each frame; equal frames count as 100 dB instead of infinity."""

    MAX_DB = 100.0

    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Over pixels and channels, (N, C, H, W) twice -> (N,)."""
        each = peak_signal_noise_ratio(generated, real, data_range=VALUE_RANGE, dim=(1, 2, 3), reduction="none")
        return each.clamp(max=self.MAX_DB)
