"""Colour coding of optical flow: hue is direction, saturation is length (Middlebury colour wheel).

Source: Baker et al., A Database and Evaluation Methodology for Optical Flow, ICCV 2007.
Shapes: ``...`` any leading axes, H x W pixels.
"""

from __future__ import annotations

from functools import cache
from math import pi

import torch
from torch import Tensor

ARCS = (  # number of steps, first and last RGB colour
    (15, (1, 0, 0), (1, 1, 0)),  # red to yellow
    (6, (1, 1, 0), (0, 1, 0)),  # yellow to green
    (4, (0, 1, 0), (0, 1, 1)),  # green to cyan
    (11, (0, 1, 1), (0, 0, 1)),  # cyan to blue
    (13, (0, 0, 1), (1, 0, 1)),  # blue to magenta
    (6, (1, 0, 1), (1, 0, 0)),  # magenta to red
)


@torch.no_grad()
def flow_to_rgb(flow: Tensor, radius: float | None = None) -> Tensor:
    """Flow (..., 2, H, W) in pixels to RGB (..., 3, H, W) in [-1, 1]: zero is white, right is red, down is yellow.

    radius: length in pixels with full saturation; longer flow is darker. None: the largest length in the tensor, so
    that the frames of a video share a scale. Non-finite flow is black.
    """
    finite = flow.isfinite().all(-3, keepdim=True)
    flow = torch.where(finite, flow.float(), 0.0)
    length = torch.linalg.vector_norm(flow, dim=-3, keepdim=True)
    if radius is None:
        radius = max(float(length.max()), torch.finfo(torch.float32).tiny)
    length = length / radius
    hue = _hue(flow)
    rgb = torch.where(length <= 1, 1 - length * (1 - hue), 0.75 * hue)
    return 2 * torch.where(finite, rgb, 0.0) - 1


def _hue(flow: Tensor) -> Tensor:
    """Saturated colour of each direction: (..., 2, H, W) -> (..., 3, H, W) in [0, 1]."""
    wheel = _wheel().to(flow.device)
    dx, dy = flow.unbind(-3)
    position = (torch.atan2(-dy, -dx) / pi + 1) / 2 * (len(wheel) - 1)  # 0 is right, a quarter turn is down
    floor = position.floor()
    index = floor.long()
    hue = torch.lerp(wheel[index], wheel[(index + 1) % len(wheel)], (position - floor).unsqueeze(-1))
    return hue.movedim(-1, -3)


@cache
def _wheel() -> Tensor:
    """The 55 hues of the wheel, (55, 3) in [0, 1]."""
    arcs = []
    for steps, start, stop in ARCS:
        fraction = torch.arange(steps).unsqueeze(1) / steps
        arcs.append(torch.lerp(torch.tensor(start).float(), torch.tensor(stop).float(), fraction))
    return torch.cat(arcs)
