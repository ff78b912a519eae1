"""Visibility of pixels in the previous frame, and the end-point error of flow.

Shapes: ``...`` any leading axes, H x W pixels; flow in pixels, (dx, dy).
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.flow.warp import source_positions, warp

RELATIVE, ABSOLUTE = 0.01, 0.5
"""Tolerance of the forward-backward check: a share of both squared lengths, and squared pixels."""


@torch.no_grad()
def forward_backward_visibility(backward: Tensor, forward: Tensor) -> Tensor:
    """1 where a pixel of the later frame is visible in the earlier one, else 0; (..., 1, H, W) float.

    backward: flow (..., 2, H, W) from the later to the earlier frame. forward: from the earlier to the later one.
    A pixel is visible if both flows are consistent, |w_b + w_f(x + w_b)|² < 0.01 (|w_b|² + |w_f(x + w_b)|²) + 0.5, and
    its source lies in the image. Source: Sundaram, Brox and Keutzer, Dense Point Trajectories by GPU-Accelerated Large
    Displacement Optical Flow, ECCV 2010.
    """
    backward = backward.float()
    returned = warp(forward.float(), backward)
    error = _squared_length(backward + returned)
    allowed = RELATIVE * (_squared_length(backward) + _squared_length(returned)) + ABSOLUTE
    return ((error < allowed) & source_inside(backward)).float()


def source_inside(flow: Tensor) -> Tensor:
    """Whether the pixel nearest to ``x + flow(x)`` lies in the image: (..., 2, H, W) -> (..., 1, H, W) bool."""
    H, W = flow.shape[-2:]
    size = torch.tensor([W, H], device=flow.device).view(2, 1, 1)
    positions = source_positions(flow)
    return ((positions >= -0.5) & (positions <= size - 0.5)).all(-3, keepdim=True)


def end_point_error(flow: Tensor, truth: Tensor, where: Tensor | None = None) -> Tensor:
    """Mean distance of two flows (..., 2, H, W) in pixels; a scalar. Source: Baker et al., IJCV 2011, sec. 4.1.

    where: weight of each pixel, (..., 1, H, W); None: 1 everywhere. The result is NaN if all weights are 0.
    """
    distance: Tensor = torch.linalg.vector_norm(flow.float() - truth.float(), dim=-3, keepdim=True)
    if where is None:
        return distance.mean()
    return (distance * where).sum() / where.expand_as(distance).sum()


def _squared_length(flow: Tensor) -> Tensor:
    return torch.sum(flow * flow, dim=-3, keepdim=True)
