"""PatchGAN discriminators at several resolutions of the same image (pix2pixHD, arXiv 1711.11585, sec. 3.2).

Shapes: N images, C channels, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.blocks.convolution import Norm, initialise
from zoo.blocks.maps import halve
from zoo.blocks.winograd import WinogradConv2d

MAX_CHANNELS = 512
MAX_BASE = 64  # largest number of channels after the first layer of a coarser discriminator


class PatchDiscriminator(nn.Module):
    """A stack of 4 x 4 convolutions whose last feature map contains one score per patch.

    channels: of the input. width: channels after the first layer. layers: number of strided convolutions.
    """

    def __init__(self, channels: int, width: int, layers: int, norm: Norm) -> None:
        super().__init__()
        stages = [nn.Sequential(nn.Conv2d(channels, width, 4, stride=2, padding=2), nn.LeakyReLU(0.2))]
        for layer in range(1, layers + 1):
            wider = min(2 * width, MAX_CHANNELS)
            stride = 2 if layer < layers else 1
            kind = WinogradConv2d if stride == 1 else nn.Conv2d
            convolution = kind(width, wider, 4, stride=stride, padding=2)
            stages.append(nn.Sequential(convolution, norm(wider), nn.LeakyReLU(0.2)))
            width = wider
        stages.append(nn.Sequential(nn.Conv2d(width, 1, 4, stride=1, padding=2)))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor, parts: int = 1) -> list[Tensor]:
        """(N, C, H, W) -> feature maps of every stage; the last one is the score, (N, 1, h, w).

        parts: number of equal parts that the batch consists of; each is normalised by its own statistics.
        """
        maps = []
        for stage in self.stages:
            for layer in stage.children():
                shared = isinstance(layer, nn.Conv2d | nn.LeakyReLU)
                x = layer(x) if shared else torch.cat([layer(part) for part in x.chunk(parts)])
            maps.append(x)
        return maps


class MultiScaleDiscriminator(nn.Module):
    """Discriminators of the same architecture at full, half, quarter … resolution, each with its own weights."""

    def __init__(self, channels: int, width: int, layers: int, scales: int, norm: Norm) -> None:
        super().__init__()
        # Coarser discriminators are wider, as in the original release.
        widths = [min(MAX_BASE, width * 2**scale) for scale in range(scales)]
        self.discriminators = nn.ModuleList(PatchDiscriminator(channels, w, layers, norm) for w in widths)
        initialise(self)

    def forward(self, *parts: Tensor) -> list[list[list[Tensor]]]:
        """Score each part, (N, C, H, W), in one pass; each is normalised by its own statistics.

        Returns for each part, for each scale (finest first), the feature maps, of which the last is the score.
        """
        x = torch.cat(parts)
        results: list[list[list[Tensor]]] = [[] for _ in parts]
        for scale, discriminator in enumerate(self.discriminators):
            if scale:
                x = halve(x)
            shared = [maps.chunk(len(parts)) for maps in discriminator(x, len(parts))]
            for part, result in enumerate(results):
                result.append([maps[part] for maps in shared])
        return results


def scores(maps: list[list[Tensor]]) -> list[Tensor]:
    """The scores of every scale: the last feature map of each, (N, 1, h, w)."""
    return [scale[-1] for scale in maps]
