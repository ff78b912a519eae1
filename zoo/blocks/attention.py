"""Self-attention of feature maps: over a whole frame, and over one axis of a clip at a time.

Shapes: B clips, N sequences, T frames, C channels, H x W pixels, S positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ZooError

REDUCTION = 8
"""Channels of queries and keys: C / REDUCTION; of values: C / 2, as in SAGAN and BigGAN."""


class Attention(nn.Module):
    """x + γ W_o softmax(Q Kᵀ) V over the positions of a sequence (Zhang et al., ICML 2019, arXiv 1805.08318).

    γ starts at 0, so the layer starts as the identity. normalise: wraps every linear map, such as in spectral norm.
    """

    def __init__(self, channels: int, normalise: Callable[[Any], Any] = lambda layer: layer) -> None:
        super().__init__()
        if channels < REDUCTION:
            raise ZooError(f"Attention needs {REDUCTION} channels or more, but there are {channels}. Widen the model.")
        self.query, self.key = (normalise(nn.Linear(channels, channels // REDUCTION, bias=False)) for _ in range(2))
        self.value = normalise(nn.Linear(channels, channels // 2, bias=False))
        self.out = normalise(nn.Linear(channels // 2, channels, bias=False))
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(N, S, C) -> (N, S, C)."""
        weights = F.softmax(self.query(x) @ self.key(x).mT, -1)
        return x + self.gamma * self.out(weights @ self.value(x))


class FrameAttention(Attention):
    """Attention among the pixels of every frame."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C, H, W) -> (B, T, C, H, W)."""
        pixels = x.flatten(0, 1).flatten(2).mT  # (B T, H W, C)
        return super().forward(pixels).mT.reshape(x.shape)


class SeparableAttention(nn.Module):
    """Attention along the height, then the width, then the time of a clip, as in the first version of DVD-GAN.

    Memory grows with the longest axis, not with the number of pixels of a clip.
    """

    AXES = (3, 4, 1)

    def __init__(self, channels: int, normalise: Callable[[Any], Any] = lambda layer: layer) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Attention(channels, normalise) for _ in self.AXES)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C, H, W) -> (B, T, C, H, W)."""
        for axis, layer in zip(self.AXES, self.layers, strict=True):
            moved = x.movedim((axis, 2), (-2, -1))  # the other axes first, then positions and channels
            x = layer(moved.flatten(0, 2)).view(moved.shape).movedim((-2, -1), (axis, 2))
        return x
