"""Flow as colours: the hue is the direction, the saturation the length (Middlebury's wheel).

Source: Baker et al., A Database and Evaluation Methodology for Optical Flow, ICCV 2007.
Shapes: ``...`` any leading axes, H x W pixels.
"""

from __future__ import annotations

from functools import cache
from math import pi

import torch
from torch import Tensor

ARCS = (  # from hue to hue: how many steps, and which of R, G, B rises or falls between them
    (15, (1, 0, 0), (1, 1, 0)),  # red to yellow
    (6, (1, 1, 0), (0, 1, 0)),  # yellow to green
    (4, (0, 1, 0), (0, 1, 1)),  # green to cyan
    (11, (0, 1, 1), (0, 0, 1)),  # cyan to blue
    (13, (0, 0, 1), (1, 0, 1)),  # blue to magenta
    (6, (1, 0, 1), (1, 0, 0)),  # magenta to red
)


@torch.no_grad()
def flow_to_rgb(flow: Tensor, radius: float | None = None) -> Tensor:
    """Flow (..., 2, H, W) in pixels to RGB (..., 3, H, W) in [-1, 1]: rest is white, right red, down yellow.

    radius: the length in pixels that has full saturation; longer flow is darker. None takes the longest of
    the whole tensor, so that the frames of one video share a scale. Where flow is not finite it is black.
    """
    known = flow.isfinite().all(-3, keepdim=True)
    flow = torch.where(known, flow.float(), 0.0)
    length = torch.linalg.vector_norm(flow, dim=-3, keepdim=True)
    if radius is None:
        radius = max(float(length.max()), torch.finfo(torch.float32).tiny)
    length = length / radius
    hue = _hue(flow)
    rgb = torch.where(length <= 1, 1 - length * (1 - hue), 0.75 * hue)
    return 2 * torch.where(known, rgb, 0.0) - 1


def _hue(flow: Tensor) -> Tensor:
    """The saturated colour of each direction, (..., 2, H, W) to (..., 3, H, W) in [0, 1]."""
    wheel = _wheel().to(flow.device)
    dx, dy = flow.unbind(-3)
    place = (torch.atan2(-dy, -dx) / pi + 1) / 2 * (len(wheel) - 1)  # 0 is right, a quarter is down
    before = place.floor()
    index = before.long()
    hue = torch.lerp(wheel[index], wheel[(index + 1) % len(wheel)], (place - before).unsqueeze(-1))
    return hue.movedim(-1, -3)


@cache
def _wheel() -> Tensor:
    """The 55 hues, (55, 3) in [0, 1]."""
    arcs = []
    for steps, start, stop in ARCS:
        along = torch.arange(steps).unsqueeze(1) / steps
        arcs.append(torch.lerp(torch.tensor(start).float(), torch.tensor(stop).float(), along))
    return torch.cat(arcs)
