"""Building blocks of image-to-image networks: stem, downsampling, residual block, upsampling, head.

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

from zoo.blocks.cpu_convolution import FewChannelConv2d, is_cpu_float32
from zoo.errors import check_choice

Norm = Callable[[int], nn.Module]
"""Builds a normalisation layer for the given number of channels."""
Convolution = Callable[[int, int, int], nn.Module]
"""Builds a convolution from input channels, output channels and kernel size."""

MANY_PIXELS = 4096  # from here on, rounding errors of sums over the pixels are visible


class PerImageBatchNorm(nn.BatchNorm2d):
    """Batch norm that in evaluation mode normalises every image by its own statistics.

    The original releases of pix2pixHD and vid2vid use batch statistics in evaluation too, with one clip per batch.
    Normalising images one by one keeps a sample independent of the others in its batch.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if self.training:
            return super().forward(x)
        if len(x) == 1:
            return self._normalise_one(x)
        return torch.cat([self._normalise_one(image) for image in torch.split(x, 1)])

    def _normalise_one(self, image: Tensor) -> Tensor:
        """Normalise one image, (1, C, H, W)."""
        plain = torch.is_grad_enabled() or image.is_contiguous() or not is_cpu_float32(image)
        if plain or image[0, 0].numel() < MANY_PIXELS:
            return super().forward(image)
        # In channels-last layout PyTorch sums the pixels one by one, with an error of 4e-5 of the values at 256 x 128.
        # Here the pixels form up to 64 interleaved groups, whose means and variances are combined.
        pixels = rearrange(image, "n c h w -> (n h w) c")
        groups = math.gcd(64, len(pixels))
        grouped = rearrange(pixels, "(p g) c -> 1 (g c) p 1", g=groups)
        means, variances = (x.view(groups, -1) for x in torch.batch_norm_update_stats(grouped, None, None, 0.0))
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        return F.batch_norm(image, mean, variance, self.weight, self.bias, eps=self.eps)


NORMS: dict[tuple[str, str], Norm] = {
    ("instance", "batch"): nn.InstanceNorm2d,
    ("instance", "running"): partial(nn.InstanceNorm2d, track_running_stats=True),
    ("batch", "batch"): PerImageBatchNorm,
    ("batch", "running"): nn.BatchNorm2d,
}


def find_norm(norm: str, statistics: str = "batch") -> Norm:
    """Return the builder of a norm: ``instance`` (no learnt scale and shift) or ``batch`` (with both).

    statistics: statistics used in evaluation: those of the current image (``batch``) or averages over the training
    (``running``). Raises ZooError for an unknown name.
    """
    check_choice("model.norm", norm, ("instance", "batch"))
    check_choice("model.norm_statistics", statistics, ("batch", "running"))
    return NORMS[norm, statistics]


def stem(channels_in: int, channels: int, norm: Norm, convolution: Convolution = nn.Conv2d) -> list[nn.Module]:
    """7 x 7 convolution at the same resolution: (N, Cin, H, W) -> (N, C, H, W)."""
    return [nn.ReflectionPad2d(3), convolution(channels_in, channels, 7), norm(channels), nn.ReLU(inplace=True)]


def down(channels_in: int, channels: int, norm: Norm) -> list[nn.Module]:
    """Halve the resolution: (N, Cin, H, W) -> (N, C, H/2, W/2)."""
    return [nn.Conv2d(channels_in, channels, 3, stride=2, padding=1), norm(channels), nn.ReLU(inplace=True)]


def up(channels_in: int, channels: int, norm: Norm) -> list[nn.Module]:
    """Double the resolution: (N, Cin, H, W) -> (N, C, 2H, 2W)."""
    return [
        nn.ConvTranspose2d(channels_in, channels, 3, stride=2, padding=1, output_padding=1),
        norm(channels),
        nn.ReLU(inplace=True),
    ]


def head(channels: int, channels_out: int) -> list[nn.Module]:
    """7 x 7 output convolution without activation: (N, C, H, W) -> (N, Cout, H, W)."""
    return [nn.ReflectionPad2d(3), FewChannelConv2d(channels, channels_out, 7)]


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a skip connection and no activation after the sum (pix2pixHD, arXiv 1711.11585)."""

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
        return x + self.layers(x)


def residual_blocks(number: int, channels: int, norm: Norm) -> list[nn.Module]:
    """A sequence of ``number`` residual blocks."""
    return [ResidualBlock(channels, norm) for _ in range(number)]


def encoder(
    channels_in: int, width: int, downsamplings: int, blocks: int, norm: Norm, first: Convolution = nn.Conv2d
) -> nn.Sequential:
    """Stem, d downsamplings that each double the channels, and residual blocks.

    (N, Cin, H, W) -> (N, width·2^d, H/2^d, W/2^d).

    first: builds the convolution of the stem.
    """
    layers = stem(channels_in, width, norm, first)
    for level in range(downsamplings):
        layers += down(width * 2**level, width * 2 ** (level + 1), norm)
    return nn.Sequential(*layers, *residual_blocks(blocks, width * 2**downsamplings, norm))


def decoder(width: int, downsamplings: int, blocks: int, norm: Norm) -> nn.Sequential:
    """Residual blocks, then d upsamplings: (N, width·2^d, H/2^d, W/2^d) -> (N, width, H, W)."""
    layers = residual_blocks(blocks, width * 2**downsamplings, norm)
    for level in reversed(range(downsamplings)):
        layers += up(width * 2 ** (level + 1), width * 2**level, norm)
    return nn.Sequential(*layers)


def initialise(network: nn.Module) -> None:
    """Draw weights of convolutions from N(0, 0.02) and scales of batch norm from N(1, 0.02), in place.

    Biases keep PyTorch's initialisation.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
