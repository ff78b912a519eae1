"""Structural similarity (Wang et al. 2004) and its multi-scale form (Wang et al. 2003), over all channels.

Shapes: N frames, C channels, H x W pixels.
"""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from zoo.errors import ZooError
from zoo.evaluation.metric import PairedMetric
from zoo.evaluation.metrics.pixels import VALUE_RANGE

MIN_SIDE = 176  # pixels: halved four times, it still holds an 11 px window


class SSIM(PairedMetric):
    """SSIM with a Gaussian window of 11 px, sigma 1.5, for pixels in [-1, 1]; 1 for equal frames."""

    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Mean over pixels and channels, (N, C, H, W) twice -> (N,)."""
        each = structural_similarity_index_measure(generated, real, data_range=VALUE_RANGE, reduction="none")
        assert isinstance(each, Tensor)
        return each.reshape(len(generated))


class MSSSIM(PairedMetric):
    """SSIM at five scales, with the weights of the paper."""

    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Mean over pixels and channels, (N, C, H, W) twice -> (N,). Raises ZooError for frames below MIN_SIDE."""
        height, width = generated.shape[-2:]
        if min(height, width) < MIN_SIDE:
            raise ZooError(
                f"ms_ssim uses five scales and needs frames of at least {MIN_SIDE} px, but these are {height} x "
                f"{width}. Leave it out, or use ssim instead."
            )
        return multiscale_structural_similarity_index_measure(
            generated, real, data_range=VALUE_RANGE, reduction="none"
        ).reshape(len(generated))
