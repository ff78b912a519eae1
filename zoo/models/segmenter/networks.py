"""A small U-Net: an encoder, a decoder, and skip connections between their levels (arXiv 1505.04597).

Shapes: N frames, C channels, K classes, H x W pixels.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class Convolutions(nn.Sequential):
    """Two 3 x 3 convolutions: (N, Cin, H, W) -> (N, C, H, W)."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )


class Up(nn.Module):
    """Upsample, and concatenate with the skip connection: (N, 2C, H/2, W/2), (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
        self.convolutions = Convolutions(2 * channels, channels)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """coarse: decoder features, (N, 2C, H/2, W/2). fine: encoder features, (N, C, H, W)."""
        return self.convolutions(torch.cat([self.upsample(coarse), fine], 1))


class UNet(nn.Module):
    """(N, C, H, W) -> logits (N, K, H, W); height and width must be multiples of 2^halvings. frame_channels: C."""

    def __init__(self, classes: int, width: int, halvings: int, frame_channels: int) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(halvings + 1)]
        self.first = Convolutions(frame_channels, width)
        self.down = nn.ModuleList(nn.Sequential(nn.MaxPool2d(2), Convolutions(*pair)) for pair in pairwise(channels))
        self.up = nn.ModuleList(Up(count) for count in reversed(channels[:-1]))
        self.last = nn.Conv2d(width, classes, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (N, C, H, W) in [-1, 1] -> logits (N, K, H, W)."""
        levels = [self.first(frames)]
        for down in self.down:
            levels.append(down(levels[-1]))
        x, *finer = reversed(levels)
        for up, fine in zip(self.up, finer, strict=True):
            x = up(x, fine)
        return self.last(x)
