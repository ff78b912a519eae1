"""A small (2+1)-D network: convolutions in space and time alternate.

Shapes: B clips, T frames, C channels, H x W pixels, F features.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class Block(nn.Sequential):
    """Convolution in space, which halves height and width, then in time.

    (B, Cin, T, H, W) -> (B, C, T, H/2, W/2).
    """

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__(
            nn.Conv3d(channels_in, channels, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
            nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0), bias=False),
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
        )


class ClipEncoder(nn.Module):
    """(B, T, C, H, W) -> (B, F): blocks, then the mean over time and space. video_channels: C."""

    def __init__(self, width: int, blocks: int, video_channels: int) -> None:
        super().__init__()
        channels = [video_channels, *(width * 2**level for level in range(blocks))]
        self.blocks = nn.Sequential(*(Block(*pair) for pair in pairwise(channels)))
        self.features = channels[-1]

    def forward(self, video: Tensor) -> Tensor:
        """Encode clips, (B, T, C, H, W) in [-1, 1] -> (B, F)."""
        return self.blocks(video.transpose(1, 2)).mean((2, 3, 4))
