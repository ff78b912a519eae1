"""Networks of TGAN: codes of frames from the code of a clip, images from both codes, and a discriminator of clips.

Layers and sizes are those of the release at 16 frames of 64 x 64 pixels. Other sizes have more or fewer layers.

Shapes: N clips, T frames, C channels, H x W pixels, S entries of the slow code of a clip, F entries of the fast code of
a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from zoo.blocks.instance_noise import InstanceNoise

EPS = 2e-5
"""Of every batch norm, as in Chainer."""
SLOPE = 0.2
"""Negative slope of the discriminator's leaky ReLU."""
UNIFORM_BOUND = 0.01


@dataclass(frozen=True)
class ClipPlan:
    """Sizes of the clips, and how often their frames are halved."""

    frames: int
    height: int
    width: int
    image_channels: int
    halvings: int

    @property
    def start(self) -> tuple[int, int]:
        """Height and width of the coarsest features."""
        return self.height >> self.halvings, self.width >> self.halvings


class TemporalGenerator(nn.Module):
    """Slow codes (N, S) -> fast codes of all frames, (N, T, F) in (-1, 1): transposed convolutions over time.

    Each of them but the first doubles the number of codes, until there are T; more are cut off. widths: channels of
    the layers but the last one.
    """

    def __init__(self, slow: int, fast: int, widths: Sequence[int], frames: int, shift: bool = True) -> None:
        super().__init__()
        channels = [slow, *widths, fast]
        self.convolutions = nn.ModuleList(
            nn.ConvTranspose1d(channels[layer], channels[layer + 1], *((4, 2, 1) if layer else (1, 1, 0)))
            for layer in range(len(channels) - 1)
        )
        self.norms = nn.ModuleList(batch_norm(CodeNorm(each, EPS), shift) for each in widths)
        self.frames = frames

    def forward(self, slow: Tensor) -> Tensor:
        """Fast codes."""
        x = slow[:, :, None]
        for convolution, norm in zip(self.convolutions[:-1], self.norms, strict=True):
            x = F.relu(norm(convolution(x)))
        return torch.tanh(self.convolutions[-1](x)).transpose(1, 2)[:, : self.frames]


def temporal_widths(width: int, frames: int) -> list[int]:
    """Channels of the layers of a temporal generator that is followed by the layer of the codes.

    width: of the first layer; the next two halve it.
    """
    return [max(width >> min(layer, 2), 1) for layer in range((frames - 1).bit_length())]


class ImageGenerator(nn.Module):
    """Slow codes (N, S) and fast codes (N, T, F) -> clips (N, T, C, H, W) in (-1, 1), every frame by itself.

    width: channels at the full resolution; each halving doubles them. One half of the coarsest features comes from the
    slow code, the other from the fast code.
    """

    def __init__(self, slow: int, fast: int, width: int, plan: ClipPlan) -> None:
        super().__init__()
        channels = [width << level for level in reversed(range(plan.halvings + 1))]
        self.start = (channels[0] // 2, *plan.start)
        self.slow, self.fast = (nn.Linear(code, prod(self.start), bias=False) for code in (slow, fast))
        self.slow_norm, self.fast_norm = (nn.BatchNorm1d(prod(self.start), EPS) for _ in range(2))
        self.convolutions = nn.ModuleList(
            nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False) for wide, narrow in pairwise(channels)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(each, EPS) for each in channels[1:])
        self.last = nn.ConvTranspose2d(width, plan.image_channels, 3, 1, 1)
        self.image_shape = (plan.image_channels, plan.height, plan.width)

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        """The clips of codes. Norms see the frames of all clips as one batch."""
        frames = fast.shape[1]
        still = self.slow_norm(self.slow(slow).repeat_interleave(frames, 0))
        moving = self.fast_norm(self.fast(fast.flatten(0, 1)))
        x = torch.cat([F.relu(half).view(-1, *self.start) for half in (still, moving)], 1)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x)))
        return torch.tanh(self.last(x)).view(-1, frames, *self.image_shape)


class Discriminator(nn.Module):
    """Scores clips, (N, T, C, H, W) -> (N,): 3-d convolutions that halve frames and resolution.

    Once there is a single frame, only the resolution is halved. width: channels of the first layer, doubled by each
    further one. normalise: batch norm in all layers but the first and the last. shift: whether that norm has one.
    noise: standard deviation of the noise before each activation, in training.
    """

    def __init__(self, plan: ClipPlan, width: int, normalise: bool, shift: bool = True, noise: float = 0.0) -> None:
        super().__init__()
        channels = [plan.image_channels, *(width << level for level in range(plan.halvings))]
        frames = [plan.frames >> level for level in range(plan.halvings)]
        self.convolutions = nn.ModuleList(
            nn.Conv3d(channels[level], channels[level + 1], (4 if frames[level] > 1 else 3, 4, 4),
                      (2 if frames[level] > 1 else 1, 2, 2), 1)
            for level in range(plan.halvings)
        )  # fmt: skip
        self.norms = nn.ModuleList(
            batch_norm(nn.BatchNorm3d(each, EPS), shift) if normalise and level else nn.Identity()
            for level, each in enumerate(channels[1:])
        )
        self.noises = nn.ModuleList(InstanceNoise(noise) for _ in range(plan.halvings))
        self.last = nn.Conv3d(channels[-1], 1, (max(plan.frames >> plan.halvings, 1), *plan.start))

    def forward(self, video: Tensor) -> Tensor:
        """Scores: large is real."""
        x = video.transpose(1, 2)
        for convolution, norm, noise in zip(self.convolutions, self.norms, self.noises, strict=True):
            x = F.leaky_relu(noise(norm(convolution(x))), SLOPE)
        return self.last(x).flatten()


class CodeNorm(nn.BatchNorm1d):
    """Batch norm that normalises a single value per channel by the running statistics, in training, too.

    The batch statistics of a batch of one clip would leave nothing of its code.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) -> (N, C, T)."""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


def batch_norm(norm: _BatchNorm, shift: bool) -> _BatchNorm:
    """The norm; without a shift, its bias is a buffer of zeros."""
    if not shift:
        zeros = torch.zeros_like(norm.bias)
        del norm.bias
        norm.register_buffer("bias", zeros)
    return norm


def initialise(network: nn.Module, kind: str) -> None:
    """Draw the weights of linear layers and convolutions, and set their biases to 0.

    kind: uniform in ±0.01; lecun, normal with variance 1 / fan-in, where Chainer takes the output channels of a
    transposed convolution for its input channels; orthogonal (Saxe et al. 2014, arXiv 1312.6120).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | _ConvNd):
            if kind == "uniform":
                nn.init.uniform_(layer.weight, -UNIFORM_BOUND, UNIFORM_BOUND)
            elif kind == "lecun":
                nn.init.normal_(layer.weight, 0.0, prod(layer.weight.shape[1:]) ** -0.5)
            else:
                nn.init.orthogonal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def codes_between(codes: Tensor, number: int) -> Tensor:
    """Insert ``number`` codes between each two of (N, T, F), evenly on the line between them."""
    ways = [torch.lerp(codes[:, :-1], codes[:, 1:], step / (number + 1)) for step in range(number + 1)]
    return torch.cat([torch.stack(ways, 2).flatten(1, 2), codes[:, -1:]], 1)
