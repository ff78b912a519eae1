"""Metrics of a sample against the real clip that it should equal: L1, PSNR, SSIM.

All on frames as (N, 3, H, W) in [-1, 1]; the range of values is 2, and is given to every metric that asks for it.
"""

from __future__ import annotations

from torchmetrics import MeanAbsoluteError, MetricCollection
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

VALUE_RANGE = (-1.0, 1.0)


def paired_metrics() -> MetricCollection:
    """``l1`` in [0, 2], ``psnr`` in dB (the mean over frames of each frame's), ``ssim`` (Wang 2004, 11 px Gaussian)."""
    return MetricCollection(
        {
            "l1": MeanAbsoluteError(),
            "psnr": PeakSignalNoiseRatio(data_range=VALUE_RANGE, dim=(1, 2, 3), reduction="elementwise_mean"),
            "ssim": StructuralSimilarityIndexMeasure(data_range=VALUE_RANGE),
        }
    )
