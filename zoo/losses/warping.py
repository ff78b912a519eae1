"""Losses that tie frames together by flow: L_W of vid2vid, and the confidence that it is weighted with.

Source: Wang et al., Video-to-Video Synthesis, NeurIPS 2018, arXiv 1808.06601. The paper's L_W counts every
pixel; the confidence C is the release's.
Shapes: ``...`` any leading axes, H x W pixels; flow is backward, in pixels, (dx, dy).
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.flow.warp import warp

TRUSTED_BELOW = 0.02  # squared distance in RGB of [-1, 1], as released


def masked_l1(a: Tensor, b: Tensor, confidence: Tensor) -> Tensor:
    """mean|a C − b C| over all pixels and channels, also those where C is 0; a scalar.

    a, b: (..., C, H, W); confidence: (..., 1, H, W).
    """
    return ((a.float() - b.float()) * confidence).abs().mean()


@torch.no_grad()
def flow_confidence(current: Tensor, previous: Tensor, flow: Tensor, threshold: float = TRUSTED_BELOW) -> Tensor:
    """1 where the flow explains the frame: Σ_RGB (x_t − warp(x_{t-1}, w))² < threshold, else 0.

    current, previous: (..., 3, H, W); flow: (..., 2, H, W), from current to previous. Returns (..., 1, H, W).
    """
    miss = current.float() - warp(previous.float(), flow)
    return (miss.square().sum(-3, keepdim=True) < threshold).float()


def flow_loss(predicted: Tensor, reference: Tensor, confidence: Tensor) -> Tensor:
    """L1 distance in pixels of the predicted flow from the reference: the first term of L_W (eq. 8)."""
    return masked_l1(predicted, reference, confidence)


def warp_loss(previous: Tensor, current: Tensor, predicted_flow: Tensor, confidence: Tensor) -> Tensor:
    """L1 distance of the warped previous frame from the current one: the second term of L_W (eq. 8)."""
    return masked_l1(warp(previous, predicted_flow), current, confidence)
