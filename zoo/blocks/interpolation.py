"""Interpolation between codes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PARALLEL = 1e-4
"""Sine of an angle below which two vectors count as parallel."""


def slerp(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Spherical linear interpolation between vectors along the last axis (Shoemake 1985); parallel ones on the line."""
    cosine = F.cosine_similarity(one, other, dim=-1).clamp(-1, 1)[..., None]
    angle = cosine.acos()
    sine = angle.sin()
    parallel = sine < PARALLEL
    weights = [
        torch.where(parallel, part, (part * angle).sin() / sine.clamp(min=PARALLEL)) for part in (1 - share, share)
    ]
    return weights[0] * one + weights[1] * other
