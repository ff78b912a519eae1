"""Discriminators that judge patches, at several resolutions of the same picture (pix2pixHD, arXiv 1711.11585).

Shapes: N images, C channels, H x W pixels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks.convolution import initialise, norm_layer

MAX_CHANNELS = 512


class PatchDiscriminator(nn.Module):
    """A stack of 4 x 4 convolutions whose last map holds a score a patch."""

    def __init__(self, channels: int, width: int, layers: int, norm: str) -> None:
        super().__init__()
        stages = [nn.Sequential(nn.Conv2d(channels, width, 4, stride=2, padding=2), nn.LeakyReLU(0.2))]
        for layer in range(1, layers + 1):
            wider = min(2 * width, MAX_CHANNELS)
            stride = 2 if layer < layers else 1
            stages.append(
                nn.Sequential(
                    nn.Conv2d(width, wider, 4, stride=stride, padding=2),
                    norm_layer(norm, wider),
                    nn.LeakyReLU(0.2),
                )
            )
            width = wider
        stages.append(nn.Sequential(nn.Conv2d(width, 1, 4, stride=1, padding=2)))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, C, H, W) to the map of every stage, the score (N, 1, h, w) last."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class MultiScaleDiscriminator(nn.Module):
    """The same kind of judge at full, half, quarter … resolution, each with its own weights."""

    def __init__(self, channels: int, width: int, layers: int = 3, scales: int = 2, norm: str = "instance") -> None:
        super().__init__()
        # Coarser judges are wider, up to 64 channels, as in the original release.
        self.judges = nn.ModuleList(
            PatchDiscriminator(channels, min(64, width * 2**scale), layers, norm) for scale in range(scales)
        )
        initialise(self)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """(N, C, H, W) to the feature maps of every scale, finest first, each list with its score last."""
        results = []
        for scale, judge in enumerate(self.judges):
            if scale:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            results.append(judge(x))
        return results
