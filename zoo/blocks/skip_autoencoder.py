"""Encoder and decoder of frames with skip connections, in the style of DCGAN or VGG, for clips with batch norm.

A frame becomes a code and, at every resolution, features that the decoder sees beside the code of another frame. The
convolution of [decoder features, skip features] is split into the sum of two: `SkipProjection` computes the second
one, so skips that stay the same over many frames are convolved once.

Sources: DCGAN (arXiv 1511.06434), VGG (arXiv 1409.1556), U-Net (arXiv 1505.04597).

Shapes: B clips, T frames, C channels, H x W pixels, G size of the code, W channels of the first stage.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks.dcgan import SLOPE
from zoo.blocks.halving import count_halvings
from zoo.blocks.step_norm import NormPlan, normalise_steps

BACKBONES = ("dcgan", "vgg")
WIDEST = 8
"""Channels double from stage to stage up to WIDEST x W."""


class FramePlan(NamedTuple):
    """Sizes of an encoder and its decoder."""

    backbone: str
    """dcgan: strided 4 x 4 convolutions. vgg: stages of 3 x 3 convolutions with pooling between them."""

    height: int
    width: int
    image_channels: int
    first: int
    """W"""

    code: int
    """G"""

    norm: NormPlan = NormPlan()

    @property
    def channels(self) -> list[int]:
        """Channels of every stage, finest first."""
        return [self.first * min(2**stage, WIDEST) for stage in range(count_halvings(self.height, self.width))]

    @property
    def layers(self) -> list[int]:
        """Number of convolutions in every stage, finest first."""
        stages = len(self.channels)
        return [1] * stages if self.backbone == "dcgan" else [2, 2, *[3] * stages][:stages]

    @property
    def coarsest(self) -> tuple[int, int]:
        """Height and width of the map that the code is computed from."""
        stages = len(self.channels)
        return self.height >> stages, self.width >> stages


class NormedConvolution(nn.Module):
    """A convolution without bias, an optional skip that is added, batch norm, and leaky ReLU or tanh."""

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, norm: NormPlan, tanh: bool = False) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = nn.BatchNorm2d(convolution.out_channels)
        self.plan, self.tanh = norm, tanh

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """(B, T, Cin, H, W) -> (B, T, Cout, H', W'). skip: output of `SkipProjection`; its last frame is held."""
        x = convolve(self.convolution, x)
        if skip is not None:
            x = x + hold_last(skip, x.shape[1])
        x = normalise_steps(self.norm, x, self.plan)
        return x.tanh() if self.tanh else F.leaky_relu(x, SLOPE)


class Encoder(nn.Module):
    """(B, T, C, H, W) -> code (B, T, G) in (-1, 1), and skips (B, T, …) of every stage, finest first.

    Skips of VGG are taken before pooling, so the finest has the resolution of the frame.
    """

    def __init__(self, plan: FramePlan) -> None:
        super().__init__()
        self.pools = plan.backbone == "vgg"
        self.stages = nn.ModuleList()
        before = plan.image_channels
        for channels, layers in zip(plan.channels, plan.layers, strict=True):
            stage = nn.ModuleList()
            for _ in range(layers):
                shape = (3, 1, 1) if self.pools else (4, 2, 1)
                stage.append(NormedConvolution(nn.Conv2d(before, channels, *shape, bias=False), plan.norm))
                before = channels
            self.stages.append(stage)
        head = nn.Conv2d(before, plan.code, plan.coarsest, bias=False)
        self.head = NormedConvolution(head, plan.norm, tanh=True)
        initialise(self)

    def forward(self, video: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Code and skips of every frame."""
        skips = []
        x = video
        for stage in self.stages:
            for layer in stage:  # type: ignore[attr-defined]
                x = layer(x)
            skips.append(x)
            if self.pools:
                x = split_time(F.max_pool2d(x.flatten(0, 1), 2), video.shape[1])
        return self.head(x).flatten(2), skips


class SkipProjection(nn.Module):
    """The share of the skips in the convolutions of the decoder: skips -> maps, both finest first."""

    def __init__(self, plan: FramePlan) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            _merging_convolution(plan, level, channels) for level, channels in enumerate(plan.channels)
        )
        initialise(self)

    def forward(self, skips: list[Tensor]) -> list[Tensor]:
        """Skips of T frames, each (B, T, …), to maps, each (B, T, …)."""
        return [convolve(convolution, skip) for convolution, skip in zip(self.levels, skips, strict=True)]


class Decoder(nn.Module):
    """Codes (B, T, G) and maps of `SkipProjection`, finest first, -> frames (B, T, C, H, W) in (0, 1).

    Maps may have fewer frames than the codes: the last one is held.
    """

    def __init__(self, plan: FramePlan) -> None:
        super().__init__()
        self.upsamples = plan.backbone == "vgg"
        widest = plan.channels[-1]
        self.first = NormedConvolution(nn.ConvTranspose2d(plan.code, widest, plan.coarsest, bias=False), plan.norm)
        self.levels = nn.ModuleList()  # coarsest first
        before = widest
        for level in reversed(range(len(plan.channels))):
            channels = _decoder_channels(plan, level)
            layers: list[nn.Module] = []
            if channels:
                layers.append(NormedConvolution(_merging_convolution(plan, level, before), plan.norm))
            for below, above in pairwise(channels):
                layers.append(NormedConvolution(nn.Conv2d(below, above, 3, 1, 1, bias=False), plan.norm))
            self.levels.append(nn.ModuleList(layers))
            before = channels[-1] if channels else before
        shape = (3, 1, 1) if self.upsamples else (4, 2, 1)
        self.last = nn.ConvTranspose2d(before, plan.image_channels, *shape)
        initialise(self)

    def forward(self, codes: Tensor, maps: list[Tensor]) -> Tensor:
        """Codes and maps to frames."""
        x = self.first(codes[..., None, None])
        for layers, level in zip(self.levels, reversed(maps), strict=True):
            if self.upsamples:
                x = split_time(F.interpolate(x.flatten(0, 1), scale_factor=2.0), codes.shape[1])
            skip: Tensor | None = level
            for layer in layers:  # type: ignore[attr-defined]
                x, skip = layer(x, skip), None
        x = convolve(self.last, x)
        return (x if self.upsamples else x + hold_last(maps[0], x.shape[1])).sigmoid()


def _decoder_channels(plan: FramePlan, level: int) -> list[int]:
    """Output channels of the normed convolutions of a level of the decoder; DCGAN has none at level 0."""
    below = plan.channels[max(level - 1, 0)]
    if plan.backbone == "dcgan":
        return [below] if level else []
    return [*[plan.channels[level]] * (plan.layers[level] - 1), below] if level else [below]


def _merging_convolution(plan: FramePlan, level: int, channels: int) -> nn.Conv2d | nn.ConvTranspose2d:
    """Convolution of one of the two inputs that a level of the decoder merges, without bias."""
    out = _decoder_channels(plan, level) or [plan.image_channels]
    if plan.backbone == "dcgan":
        return nn.ConvTranspose2d(channels, out[0], 4, 2, 1, bias=False)
    return nn.Conv2d(channels, out[0], 3, 1, 1, bias=False)


def convolve(convolution: nn.Module, x: Tensor) -> Tensor:
    """Apply a convolution of images to clips, (B, T, …) -> (B, T, …)."""
    return split_time(convolution(x.flatten(0, 1)), x.shape[1])


def split_time(images: Tensor, frames: int) -> Tensor:
    """(B T, …) -> (B, T, …)."""
    return images.reshape(-1, frames, *images.shape[1:])


def hold_last(maps: Tensor, frames: int) -> Tensor:
    """Repeat the last of some maps up to a number of frames: (B, S, …) -> (B, T, …)."""
    missing = frames - maps.shape[1]
    if not missing:
        return maps
    return torch.cat([maps, maps[:, -1:].expand(-1, missing, *maps.shape[2:])], 1)


def initialise(network: nn.Module) -> None:
    """Draw weights of convolutions and linear layers from N(0, 0.02), scales of batch norm from N(1, 0.02); biases are
    0. LSTM cells keep PyTorch's initialisation."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
