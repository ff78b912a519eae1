"""Structural similarity (Wang et al. 2004) and its multi-scale form (Wang et al. 2003), over all three colours."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from zoo.errors import ZooError
from zoo.evaluation.metric import PairedMetric
from zoo.evaluation.metrics.pixels import VALUE_RANGE

SMALLEST = 176  # pixels: halved four times, an 11 px window still fits


class SSIM(PairedMetric):
    """1 for equal frames; a Gaussian window of 11 px, sigma 1.5, and the range of values told (they are in [-1, 1])."""

    def compare(self, made: Tensor, real: Tensor) -> Tensor:
        """Mean over pixels and colours."""
        each = structural_similarity_index_measure(made, real, data_range=VALUE_RANGE, reduction="none")
        assert isinstance(each, Tensor)
        return each.reshape(len(made))


class MSSSIM(PairedMetric):
    """At five scales, with the weights of the paper. A ZooError for frames too small for the fifth."""

    def compare(self, made: Tensor, real: Tensor) -> Tensor:
        """Mean over pixels and colours."""
        height, width = made.shape[-2:]
        if min(height, width) < SMALLEST:
            raise ZooError(
                f"ms_ssim looks at five scales and needs {SMALLEST} px at least; frames are {height} x {width}. "
                "Leave it out, or ask for ssim."
            )
        return multiscale_structural_similarity_index_measure(
            made, real, data_range=VALUE_RANGE, reduction="none"
        ).reshape(len(made))
