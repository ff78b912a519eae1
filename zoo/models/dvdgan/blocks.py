"""Residual blocks of DVD-GAN, which are BigGAN's (arXiv 1809.11096, fig. 15), and the head of its discriminators.

Shapes: N images or clips, B clips, T frames, C channels, H x W pixels, K entries of the condition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks.attributes import UNKNOWN
from zoo.blocks.conditional_norm import ConditionalNorm

Normalise = Callable[[Any], Any]
"""Wraps a layer, such as in spectral norm."""


def unchanged(layer: Any) -> Any:
    """A layer without a norm of its weights."""
    return layer


class GeneratorBlock(nn.Module):
    """Conditional norm, ReLU and a 3 x 3 convolution, twice, beside a shortcut.

    upsample: double the resolution. frames: see `ConditionalNorm`.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        condition: int,
        upsample: bool,
        frames: int | None = None,
        normalise: Normalise = unchanged,
    ) -> None:
        super().__init__()
        self.upsample = upsample
        self.norm1 = ConditionalNorm(channels_in, condition, frames, normalise)
        self.norm2 = ConditionalNorm(channels, condition, frames, normalise)
        self.conv1 = normalise(nn.Conv2d(channels_in, channels, 3, padding=1))
        self.conv2 = normalise(nn.Conv2d(channels, channels, 3, padding=1))
        changes = upsample or channels_in != channels
        self.shortcut = normalise(nn.Conv2d(channels_in, channels, 1)) if changes else None

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, T, Cin, H, W), (B, K) -> (B, T, C, H or 2H, W or 2W)."""
        batch, frames = x.shape[:2]
        inner = self.norm1(x, condition).relu().flatten(0, 1)
        inner = self.conv1(F.interpolate(inner, scale_factor=2.0) if self.upsample else inner)
        inner = self.norm2(inner.unflatten(0, (batch, frames)), condition).relu().flatten(0, 1)
        return (self.conv2(inner) + self._shortcut(x.flatten(0, 1))).unflatten(0, (batch, frames))

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.shortcut is None:
            return x
        x = self.shortcut(x)  # a 1 x 1 convolution and the enlargement commute, and the smaller image comes first
        return F.interpolate(x, scale_factor=2.0) if self.upsample else x


class DiscriminatorBlock(nn.Module):
    """ReLU and a convolution with a kernel of 3, twice, beside a shortcut; without norms of activations.

    dimensions: 2, or 3 with time. pool: halve every dimension at the end. first: no ReLU before the first convolution,
    which sees pixels.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        pool: bool,
        dimensions: int = 2,
        first: bool = False,
        normalise: Normalise = unchanged,
    ) -> None:
        super().__init__()
        convolution: Any = nn.Conv3d if dimensions == 3 else nn.Conv2d
        self.pool = (nn.AvgPool3d if dimensions == 3 else nn.AvgPool2d)(2) if pool else nn.Identity()
        self.first = first
        self.conv1 = normalise(convolution(channels_in, channels, 3, padding=1))
        self.conv2 = normalise(convolution(channels, channels, 3, padding=1))
        changes = pool or channels_in != channels
        self.shortcut = normalise(convolution(channels_in, channels, 1)) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, Cin, …, H, W) -> (N, C, …, H/2, W/2), or without halving."""
        inner = self.conv2(self.conv1(x if self.first else x.relu()).relu())
        shortcut = x if self.shortcut is None else self.shortcut(self.pool(x))
        return self.pool(inner) + shortcut


class ProjectionHead(nn.Module):
    """Score of features, with the class by projection (Miyato and Koyama, ICLR 2018): w·h + b + e(y)·h, h = Σ ReLU.

    classes: 0: without classes. A clip whose class is UNKNOWN is scored without its projection.
    """

    def __init__(self, channels: int, classes: int = 0, normalise: Normalise = unchanged) -> None:
        super().__init__()
        self.linear = normalise(nn.Linear(channels, 1))
        self.embedding = normalise(nn.Embedding(classes, channels)) if classes else None

    def forward(self, features: Tensor, classes: Tensor | None = None) -> Tensor:
        """(N, C, H, W), ids (N,) -> (N,)."""
        summed = features.relu().sum((-2, -1))
        score = self.linear(summed).squeeze(-1)
        if self.embedding is None or classes is None:
            return score
        projection = (self.embedding(classes.clamp(min=0)) * summed).sum(-1)
        return score + torch.where(classes == UNKNOWN, torch.zeros_like(projection), projection)
