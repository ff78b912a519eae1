"""Which pixels were there in the frame before, and how far one flow is from another.

Shapes: ``...`` any leading axes, H x W pixels; flow in pixels, (dx, dy).
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.flow.warp import source_positions, warp

RELATIVE, ABSOLUTE = 0.01, 0.5
"""Tolerance of the round trip: a share of both flows' squared lengths, plus squared pixels."""


@torch.no_grad()
def forward_backward_visibility(backward: Tensor, forward: Tensor) -> Tensor:
    """1 where a pixel of the later frame is seen in the earlier one, else 0; returns (..., 1, H, W).

    backward: (..., 2, H, W), belongs to the later frame and points to the earlier one; forward the other way.
    Following both must lead back, |w_b + w_f(x + w_b)|² < 0.01 (|w_b|² + |w_f(x + w_b)|²) + 0.5, and the
    source pixel must lie in the image. Source: Sundaram, Brox and Keutzer, Dense Point Trajectories by
    GPU-Accelerated Large Displacement Optical Flow, ECCV 2010.
    """
    backward = backward.float()
    back = warp(forward.float(), backward)
    miss = _squared_length(backward + back)
    allowed = RELATIVE * (_squared_length(backward) + _squared_length(back)) + ABSOLUTE
    return ((miss < allowed) & source_inside(backward)).float()


def source_inside(flow: Tensor) -> Tensor:
    """Whether the pixel nearest to ``x + flow(x)`` is in the image: (..., 2, H, W) to bool (..., 1, H, W)."""
    H, W = flow.shape[-2:]
    size = torch.tensor([W, H], device=flow.device).view(2, 1, 1)
    positions = source_positions(flow)
    return ((positions >= -0.5) & (positions <= size - 0.5)).all(-3, keepdim=True)


def end_point_error(flow: Tensor, truth: Tensor, where: Tensor | None = None) -> Tensor:
    """Mean distance in pixels between two flows (..., 2, H, W); a scalar. Baker et al., IJCV 2011, sec. 4.1.

    where: (..., 1, H, W), the weight of each pixel, 1 everywhere if left out; NaN when it is 0 everywhere.
    """
    distance: Tensor = torch.linalg.vector_norm(flow.float() - truth.float(), dim=-3, keepdim=True)
    if where is None:
        return distance.mean()
    return (distance * where).sum() / where.expand_as(distance).sum()


def _squared_length(flow: Tensor) -> Tensor:
    return torch.sum(flow * flow, dim=-3, keepdim=True)
