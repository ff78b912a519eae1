"""The convolutional pieces of the image-to-image family: stem, down, residual block, up, head.

Shapes: N images, C channels, H x W pixels. Every convolution has a bias; every activation is a ReLU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from zoo.blocks.processor import FewChannels, is_single
from zoo.errors import one_of

Norm = Callable[[int], nn.Module]
"""Builds a normalisation layer for a number of channels."""
Convolution = Callable[[int, int, int], nn.Module]
"""Builds a convolution for channels in and out and the side of its kernel."""


MANY_PIXELS = 4096  # from which on sums of them round visibly


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that in use, too, takes the statistics of the picture at hand, each picture's its own.

    The released models were trained and used so, with one clip a batch: statistics of a batch of several would make
    a sample depend on its neighbours.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if self.training:
            return super().forward(x)
        return self._alone(x) if len(x) == 1 else torch.cat([self._alone(picture) for picture in torch.split(x, 1)])

    def _alone(self, picture: Tensor) -> Tensor:
        plain = torch.is_grad_enabled() or picture.is_contiguous() or not is_single(picture)
        if plain or picture[0, 0].numel() < MANY_PIXELS:
            return super().forward(picture)
        # PyTorch adds the pixels of channels that lie last one by one: off by 4e-5 of the values at 256 x 128. Here
        # every 64th pixel counts as a channel of its own, and what is found is put together.
        pixels = rearrange(picture, "n c h w -> (n h w) c")
        groups = math.gcd(64, len(pixels))
        grouped = rearrange(pixels, "(p g) c -> 1 (g c) p 1", g=groups)
        means, variances = (x.view(groups, -1) for x in torch.batch_norm_update_stats(grouped, None, None, 0.0))
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        return F.batch_norm(picture, mean, variance, self.weight, self.bias, eps=self.eps)


NORMS: dict[tuple[str, str], Norm] = {
    ("instance", "batch"): nn.InstanceNorm2d,
    ("instance", "running"): partial(nn.InstanceNorm2d, track_running_stats=True),
    ("batch", "batch"): BatchNorm,
    ("batch", "running"): nn.BatchNorm2d,
}


def find_norm(norm: str, statistics: str = "batch") -> Norm:
    """``instance`` norm without, or ``batch`` norm with, a learnt scale and shift.

    statistics: what evaluation normalises by: those of the picture at hand (``batch``), or averages over training
    (``running``).
    """
    one_of("model.norm", norm, ("instance", "batch"))
    one_of("model.norm_statistics", statistics, ("batch", "running"))
    return NORMS[norm, statistics]


def stem(channels_in: int, channels: int, norm: Norm, convolution: Convolution = nn.Conv2d) -> list[nn.Module]:
    """7 x 7 convolution at full resolution: (N, Cin, H, W) -> (N, C, H, W)."""
    return [nn.ReflectionPad2d(3), convolution(channels_in, channels, 7), norm(channels), nn.ReLU(inplace=True)]


def down(channels_in: int, channels: int, norm: Norm) -> list[nn.Module]:
    """Half the resolution: (N, Cin, H, W) -> (N, C, H/2, W/2)."""
    return [nn.Conv2d(channels_in, channels, 3, stride=2, padding=1), norm(channels), nn.ReLU(inplace=True)]


def up(channels_in: int, channels: int, norm: Norm) -> list[nn.Module]:
    """Twice the resolution: (N, Cin, H, W) -> (N, C, 2H, 2W)."""
    return [
        nn.ConvTranspose2d(channels_in, channels, 3, stride=2, padding=1, output_padding=1),
        norm(channels),
        nn.ReLU(inplace=True),
    ]


def head(channels: int, channels_out: int) -> list[nn.Module]:
    """7 x 7 convolution to the output, without activation: (N, C, H, W) -> (N, Cout, H, W)."""
    return [nn.ReflectionPad2d(3), FewChannels(channels, channels_out, 7)]


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside the identity, nothing after the sum (pix2pixHD, arXiv 1711.11585)."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            norm(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x + self.layers(x)  # type: ignore[no-any-return]


def residual_blocks(number: int, channels: int, norm: Norm) -> list[nn.Module]:
    """So many of them, one after another."""
    return [ResidualBlock(channels, norm) for _ in range(number)]


def encoder(
    channels_in: int, width: int, downsamplings: int, blocks: int, norm: Norm, first: Convolution = nn.Conv2d
) -> nn.Sequential:
    """Stem, ``downsamplings`` that each double the channels, residual blocks: -> (N, width·2^d, H/2^d, W/2^d)."""
    layers = stem(channels_in, width, norm, first)
    for level in range(downsamplings):
        layers += down(width * 2**level, width * 2 ** (level + 1), norm)
    return nn.Sequential(*layers, *residual_blocks(blocks, width * 2**downsamplings, norm))


def decoder(width: int, downsamplings: int, blocks: int, norm: Norm) -> nn.Sequential:
    """Residual blocks and the way up again: (N, width·2^d, H/2^d, W/2^d) -> (N, width, H, W)."""
    layers = residual_blocks(blocks, width * 2**downsamplings, norm)
    for level in reversed(range(downsamplings)):
        layers += up(width * 2 ** (level + 1), width * 2**level, norm)
    return nn.Sequential(*layers)


def initialise(network: nn.Module) -> None:
    """Convolutions from N(0, 0.02), batch norm's scale from N(1, 0.02); biases as PyTorch sets them."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
