"""The two discriminators of DVD-GAN: one sees a few frames, one by one, the other the clip at half the resolution.

Shapes: B clips, T frames, k frames of a clip, C channels, H x W pixels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks.halving import count_halvings
from zoo.blocks.spectral_norm import spectral_norm
from zoo.models.dvdgan.blocks import DiscriminatorBlock, ProjectionHead
from zoo.models.dvdgan.generator import WIDEST, initialise

VOLUME_BLOCKS = 2
"""The first blocks of the discriminator of time see space and time; each halves both."""
SHRINK = 2
"""φ: the factor by which the discriminator of time shrinks every frame."""


class SpatialDiscriminator(nn.Module):
    """D_S: scores frames by themselves. classes: 0: without classes."""

    def __init__(self, height: int, width: int, image_channels: int, channels: int, classes: int) -> None:
        super().__init__()
        widths = block_widths(count_halvings(height, width), channels)
        self.blocks = nn.Sequential(*image_blocks([image_channels, *widths], first=True))
        self.head = ProjectionHead(widths[-1], classes, spectral_norm)
        initialise(self)

    def forward(self, frames: Tensor, classes: Tensor | None = None) -> Tensor:
        """(B, k, C, H, W), ids (B,) -> a score of every frame, (B, k)."""
        batch, number = frames.shape[:2]
        return score_frames(self.head, self.blocks(frames.flatten(0, 1)), classes, batch, number)


class TemporalDiscriminator(nn.Module):
    """D_T: scores what happens over time. classes: 0: without classes."""

    def __init__(self, height: int, width: int, image_channels: int, channels: int, classes: int) -> None:
        super().__init__()
        widths = block_widths(count_halvings(height, width), channels)
        volumes = [image_channels, *widths[:VOLUME_BLOCKS]]
        self.volume_blocks = nn.Sequential(
            *(
                DiscriminatorBlock(volumes[n], volumes[n + 1], True, 3, first=n == 0, normalise=spectral_norm)
                for n in range(VOLUME_BLOCKS)
            )
        )
        self.blocks = nn.Sequential(*image_blocks(widths[VOLUME_BLOCKS - 1 :], first=False))
        self.head = ProjectionHead(widths[-1], classes, spectral_norm)
        initialise(self)

    def forward(self, video: Tensor, classes: Tensor | None = None) -> Tensor:
        """(B, T, C, H, W), ids (B,) -> a score of every time step that is left, (B, T // 4)."""
        images = F.avg_pool2d(video.flatten(0, 1), SHRINK)
        small = images.view(*video.shape[:2], *images.shape[1:])
        steps = self.volume_blocks(small.transpose(1, 2)).transpose(1, 2)
        batch, number = steps.shape[:2]
        return score_frames(self.head, self.blocks(steps.flatten(0, 1)), classes, batch, number)


def block_widths(halvings: int, channels: int) -> list[int]:
    """Channels after every block: one block for each halving, and one more of the same width."""
    widths = [channels * min(WIDEST, 2**level) for level in range(halvings)]
    return [*widths, widths[-1]]


def image_blocks(widths: list[int], first: bool) -> list[nn.Module]:
    """Blocks between these widths, each of which halves the resolution, but for the last one."""
    last = len(widths) - 2
    return [
        DiscriminatorBlock(widths[n], widths[n + 1], n < last, first=first and n == 0, normalise=spectral_norm)
        for n in range(last + 1)
    ]


def score_frames(head: ProjectionHead, features: Tensor, classes: Tensor | None, batch: int, number: int) -> Tensor:
    """Scores of ``number`` images of each of ``batch`` clips, (B, number), with the class of their clip."""
    repeated = None if classes is None else classes.repeat_interleave(number)
    return head(features, repeated).view(batch, number)
