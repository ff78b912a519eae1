"""Flow losses: L_W of vid2vid, and the confidence that it is weighted with.

Source: Wang et al., Video-to-Video Synthesis, NeurIPS 2018, arXiv 1808.06601. The paper's L_W counts every pixel; the
confidence C is from its release.
Shapes: ``...`` any leading axes, H x W pixels; flow is backward, in pixels, (dx, dy).
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.flow.warp import warp

CONFIDENT_BELOW = 0.02  # squared RGB distance for values in [-1, 1], as released


def masked_l1(a: Tensor, b: Tensor, confidence: Tensor) -> Tensor:
    """mean|a C − b C| over all pixels and channels, including those where C is 0; a scalar.

    a, b: (..., C, H, W); confidence: (..., 1, H, W).
    """
    return ((a.float() - b.float()) * confidence).abs().mean()


@torch.no_grad()
def flow_confidence(current: Tensor, previous: Tensor, flow: Tensor, threshold: float = CONFIDENT_BELOW) -> Tensor:
    """1 where warping by the flow reproduces the frame: Σ_RGB (x_t − warp(x_{t-1}, w))² < threshold, else 0.

    current, previous: (..., 3, H, W); flow: (..., 2, H, W), from current to previous. Returns (..., 1, H, W).
    """
    error = current.float() - warp(previous.float(), flow)
    return (error.square().sum(-3, keepdim=True) < threshold).float()


def flow_loss(predicted: Tensor, reference: Tensor, confidence: Tensor) -> Tensor:
    """First term of L_W (eq. 8): L1 distance of predicted and reference flow, in pixels; a scalar.

    predicted, reference: (..., 2, H, W); confidence: (..., 1, H, W).
    """
    return masked_l1(predicted, reference, confidence)


def warp_loss(previous: Tensor, current: Tensor, predicted_flow: Tensor, confidence: Tensor) -> Tensor:
    """Second term of L_W (eq. 8): L1 distance of the current frame and the warped previous one; a scalar.

    previous, current: (..., 3, H, W); predicted_flow: (..., 2, H, W); confidence: (..., 1, H, W).
    """
    return masked_l1(warp(previous, predicted_flow), current, confidence)
