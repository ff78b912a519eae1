"""Structural similarity (Wang et al. 2004) and its multi-scale form (Wang et al. 2003), over all channels.

Pixels are mapped to [0, 1] first: the luminance term (2 μ₁ μ₂ + C₁) / (μ₁² + μ₂² + C₁) compares means that are at least
0, and means nothing about a mid-grey of 0. Only windows that lie inside the frame count, as in scikit-image and
pytorch-msssim; there is no padding.

Shapes: N frames, C channels, H x W pixels, S = WINDOW - 1.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ZooError
from zoo.evaluation.metric import PairedMetric

WINDOW, SIGMA = 11, 1.5  # pixels
C1, C2 = 0.01**2, 0.03**2  # for pixels in [0, 1]
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first."""
BOX = 7  # pixels, the side of scikit-image's default window
MIN_SIDE = WINDOW * 2 ** (len(SCALE_WEIGHTS) - 1)  # pixels: halved four times, it still holds a window


def gaussian_means(images: Tensor) -> Tensor:
    """Weighted mean in each window that lies inside the frame, (..., H, W) -> (..., H - S, W - S)."""
    weights = [math.exp(-((i - WINDOW // 2) ** 2) / (2 * SIGMA**2)) for i in range(WINDOW)]
    for axis in (-2, -1):
        size = images.shape[axis] - WINDOW + 1
        shifted = (images.narrow(axis, i, size) * (weight / sum(weights)) for i, weight in enumerate(weights))
        total = next(shifted)
        for each in shifted:
            total += each
        images = total
    return images


def similarity_terms(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, in each window: (N, C, H, W) twice -> (N, C, H - S, W - S) twice.

    Pixels are in [0, 1]. Variances and covariance divide by the sum of the weights. Wang et al. 2004, Eq. 6, 9 and 10,
    with C₃ = C₂ / 2.
    """
    mean, mean2 = gaussian_means(one), gaussian_means(other)
    variance, variance2 = gaussian_means(one * one) - mean * mean, gaussian_means(other * other) - mean2 * mean2
    covariance = gaussian_means(one * other) - mean * mean2
    luminance = (2 * mean * mean2 + C1) / (mean * mean + mean2 * mean2 + C1)
    return luminance, (2 * covariance + C2) / (variance + variance2 + C2)


def to_unit_range(frames: Tensor) -> Tensor:
    """Map [-1, 1] to [0, 1] in double precision, since variances are differences of nearly equal numbers."""
    return (frames.double().clamp(-1, 1) + 1) / 2


def check_side(frames: Tensor, least: int, who: str, advice: str) -> None:
    """Raise a ZooError for frames with a side below ``least`` pixels. who, advice: its beginning and its end."""
    height, width = frames.shape[-2:]
    if min(height, width) < least:
        raise ZooError(f"{who} needs frames of at least {least} px, but these are {height} x {width}. {advice}")


class SSIM(PairedMetric):
    """SSIM with a Gaussian window of 11 px, sigma 1.5, on [0, 1]; 1 for equal frames."""

    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Mean over windows and channels, (N, C, H, W) twice -> (N,). Raises ZooError for frames below 11 px."""
        check_side(real, WINDOW, "ssim uses windows of 11 px and", "Leave it out.")
        luminance, structure = similarity_terms(to_unit_range(generated), to_unit_range(real))
        return (luminance * structure).mean((1, 2, 3))


class BoxSSIM(PairedMetric):
    """SSIM as older versions of scikit-image computed it by default for pixels in [0, 1]; 1 for equal frames.

    They took 2 (-1 to 1) for the range of the pixels, so C₁ and C₂ are four times those of the range 1, and values are
    higher. The window is uniform, 7 px a side, and variances divide by n - 1. SVG's release and OpenSTL report this.
    """

    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Mean over windows and channels, (N, C, H, W) twice -> (N,). Raises ZooError for frames below 7 px."""
        check_side(real, BOX, "ssim_range2 uses windows of 7 px and", "Leave it out.")
        one, other = to_unit_range(generated), to_unit_range(real)
        mean, mean2 = _box_means(one), _box_means(other)
        unbiased = BOX**2 / (BOX**2 - 1)
        variance = unbiased * (_box_means(one * one) - mean * mean)
        variance2 = unbiased * (_box_means(other * other) - mean2 * mean2)
        covariance = unbiased * (_box_means(one * other) - mean * mean2)
        luminance = (2 * mean * mean2 + 4 * C1) / (mean * mean + mean2 * mean2 + 4 * C1)
        structure = (2 * covariance + 4 * C2) / (variance + variance2 + 4 * C2)
        return (luminance * structure).mean((1, 2, 3))


def _box_means(images: Tensor) -> Tensor:
    """Mean in each window of BOX x BOX pixels that lies inside the frame."""
    return F.avg_pool2d(images, BOX, stride=1)


class MSSSIM(PairedMetric):
    """SSIM at five scales, with the weights of the paper, on [0, 1]; 1 for equal frames."""

    def compare(self, generated: Tensor, real: Tensor) -> Tensor:
        """Product over scales of the mean over windows, then mean over channels: (N, C, H, W) twice -> (N,).

        Contrast and structure count at every scale, luminance at the coarsest (Eq. 7). A negative mean counts as 0. An
        odd last row or column is left out when a scale is halved. Raises ZooError for frames below MIN_SIDE.
        """
        check_side(real, MIN_SIDE, "ms_ssim uses five scales and", "Leave it out, or use ssim instead.")
        one, other = to_unit_range(generated), to_unit_range(real)
        product = one.new_ones(one.shape[:2])
        for scale, weight in enumerate(SCALE_WEIGHTS):
            if scale:
                one, other = F.avg_pool2d(one, 2), F.avg_pool2d(other, 2)
            luminance, structure = similarity_terms(one, other)
            values = luminance * structure if scale == len(SCALE_WEIGHTS) - 1 else structure
            product = product * values.mean((2, 3)).clamp(min=0) ** weight
        return product.mean(1)
