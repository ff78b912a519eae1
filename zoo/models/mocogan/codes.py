"""Codes of MoCoGAN: content and category of a clip, motion of every frame.

Shapes: N clips, T frames, M entries of a motion code, Z entries of a whole code, K categories.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.models.mocogan.networks import MotionNetwork


class CodeNoise(NamedTuple):
    """What the codes of N clips are made from; all but the category from N(0, 1)."""

    content: Tensor
    """Content codes, (N, …)."""

    category: Tensor | None
    """Ids of the categories, (N,) int64; None: there are no categories."""

    motion_start: Tensor
    """Motion codes before the first frame, (N, M)."""

    motion_steps: Tensor
    """Noise of every frame, (N, T, M)."""


def clip_codes(noise: CodeNoise, categories: int, motion: MotionNetwork) -> Tensor:
    """Codes of all frames, (N, T, Z): content, category and motion, in this order. categories: K.

    The category does not enter the recurrent network, as in the release.
    """
    code, steps = noise.motion_start, []
    for each in noise.motion_steps.unbind(1):
        code = motion(each, code)
        steps.append(frame_codes(noise.content, noise.category, code, categories))
    return torch.stack(steps, 1)


def frame_codes(content: Tensor, category: Tensor | None, motion: Tensor, categories: int) -> Tensor:
    """Codes of one frame of N clips, (N, Z)."""
    parts = [content, motion]
    if category is not None:
        parts.insert(1, F.one_hot(category, categories).to(motion.dtype))
    return torch.cat(parts, -1)
