"""Networks of VGAN: a generator with two streams, and a discriminator of clips.

A stream starts from a few pixels and doubles the resolution until frames have their full size. The foreground doubles
the number of frames in as many of these steps, the first ones; the others keep it. The discriminator halves both in the
opposite order. With 32 frames of 64 x 64 pixels every step doubles both, from 2 frames of 4 x 4, as published.

Shapes: N clips, T frames, C channels, H x W pixels, Z entries of the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks.dcgan import fan_in
from zoo.blocks.halving import count_halvings

GENERATOR_EPS = 1e-5
DISCRIMINATOR_EPS = 1e-3
"""Also that of the encoder of the first frame."""
SLOPE = 0.2
"""Negative slope of the discriminator's leaky ReLU."""
LOGITS = 2
"""Of a clip: real, generated."""


@dataclass(frozen=True)
class ClipPlan:
    """Sizes of the clips, and of the features at every resolution."""

    frames: int
    height: int
    width: int
    image_channels: int
    channels: int
    """Features at half the resolution; each halving below doubles them."""

    @property
    def doublings(self) -> int:
        """Number of doublings of the resolution."""
        return count_halvings(self.height, self.width)

    @property
    def frame_doublings(self) -> int:
        """Number of doublings of the number of frames."""
        number = 0
        while number < self.doublings and self.frames % 2 ** (number + 1) == 0:
            number += 1
        return number

    @property
    def start(self) -> tuple[int, int, int]:
        """Frames, height and width before the first doubling."""
        return (
            self.frames >> self.frame_doublings,
            self.height >> self.doublings,
            self.width >> self.doublings,
        )

    @property
    def features(self) -> list[int]:
        """Features at the start and after every doubling but the last one."""
        return [self.channels << level for level in reversed(range(self.doublings))]

    def doubles_frames(self, step: int) -> bool:
        """Whether the doubling of this number, from 0, doubles the number of frames, too."""
        return step < self.frame_doublings


class Layers(nn.Module):
    """Convolutions, each followed by a norm, where it has one, and an activation.

    normed: numbers of the convolutions with a norm. slope: negative slope of the activation; 0 is the ReLU. plain_end:
    no activation after the last convolution.
    """

    def __init__(
        self,
        convolutions: Sequence[nn.Module],
        normed: Sequence[int],
        eps: float,
        slope: float = 0.0,
        plain_end: bool = False,
    ) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)
        self.norms = nn.ModuleList(
            batch_norm(convolution, eps) if number in normed else nn.Identity()
            for number, convolution in enumerate(convolutions)
        )
        self.slope, self.plain_end = slope, plain_end

    def forward(self, x: Tensor) -> Tensor:
        """(N, Cin, …) -> (N, C, …)."""
        last = len(self.convolutions) - 1
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = norm(convolution(x))
            if number < last or not self.plain_end:
                x = F.leaky_relu(x, self.slope)
        return x


class GeneratedClip(NamedTuple):
    """A clip and what it is blended from."""

    video: Tensor
    """(N, T, C, H, W) in [-1, 1]."""

    foreground: Tensor
    """(N, T, C, H, W) in [-1, 1]."""

    background: Tensor | None
    """(N, 1, C, H, W) in [-1, 1]; None in a generator with one stream."""

    mask: Tensor | None
    """(N, T, 1, H, W) in [0, 1]: 1 shows the foreground, 0 the background."""


class Generator(nn.Module):
    """Noise, or a first frame, to a clip: mask · foreground + (1 - mask) · background (eq. 3).

    noise: Z; 0: the clip continues a first frame. two_streams: False: the foreground alone is the clip.
    """

    def __init__(self, plan: ClipPlan, noise: int, two_streams: bool = True) -> None:
        super().__init__()
        wide = plan.features[0]
        frames, height, width = plan.start
        self.encoder = None if noise else first_frame_encoder(plan)
        # Noise is a single pixel; the features of a first frame already have the height and width of the start.
        size = (height, width) if noise else (1, 1)
        start: list[nn.Module] = [nn.ConvTranspose3d(noise or wide, wide, (frames, *size))]
        steps = [upsample_clip(plan, step, channels) for step, channels in enumerate(plan.features[1:])]
        self.foreground = Layers([*start, *steps], range(len(steps) + 1), GENERATOR_EPS)
        last = plan.doublings - 1
        self.foreground_head = upsample_clip(plan, last, plan.image_channels)
        self.background = self.mask_head = None
        if two_streams:
            self.mask_head = upsample_clip(plan, last, 1)
            channels = [*plan.features, plan.image_channels]
            images: list[nn.Module] = [
                nn.ConvTranspose2d(channels[step], channels[step + 1], 4, 2, 1) for step in range(plan.doublings)
            ]
            if noise:
                images.insert(0, nn.ConvTranspose2d(noise, wide, size))
            self.background = Layers(images, range(len(images) - 1), GENERATOR_EPS, plain_end=True)
        initialise(self)

    def forward(self, source: Tensor) -> GeneratedClip:
        """source: noise (N, Z), or the first frame (N, C, H, W) in [-1, 1]."""
        code = source[..., None, None] if self.encoder is None else self.encoder(source)  # (N, C, h, w)
        features = self.foreground(code[:, :, None])
        foreground = torch.tanh(self.foreground_head(features)).transpose(1, 2)
        if self.background is None or self.mask_head is None:
            return GeneratedClip(foreground, foreground, None, None)
        mask = torch.sigmoid(self.mask_head(features)).transpose(1, 2)
        background = torch.tanh(self.background(code))[:, None]
        return GeneratedClip(mask * foreground + (1 - mask) * background, foreground, background, mask)


class Discriminator(nn.Module):
    """Says how real a clip looks.

    normalise: with batch norm, as published.
    """

    def __init__(self, plan: ClipPlan, normalise: bool) -> None:
        super().__init__()
        steps = range(plan.doublings)
        channels = [plan.image_channels, *reversed(plan.features)]
        convolutions: list[nn.Module] = [
            nn.Conv3d(
                channels[number],
                channels[number + 1],
                (_frame_kernel(plan, step), 4, 4),
                (1 + plan.doubles_frames(step), 2, 2),
                1,
            )
            for number, step in enumerate(reversed(steps))
        ]
        convolutions.append(nn.Conv3d(channels[-1], LOGITS, plan.start))
        normed = range(1, plan.doublings) if normalise else ()
        self.layers = Layers(convolutions, normed, DISCRIMINATOR_EPS, SLOPE, plain_end=True)
        initialise(self, preserve_variance=not normalise)

    def forward(self, video: Tensor) -> Tensor:
        """(N, T, C, H, W) -> (N, 2): logits of real and of generated."""
        return self.layers(video.transpose(1, 2)).flatten(1)


def first_frame_encoder(plan: ClipPlan) -> Layers:
    """Build the encoder of the first frame: (N, C, H, W) -> the features of the start, (N, widest, h, w)."""
    channels = [plan.image_channels, *reversed(plan.features)]
    convolutions = [nn.Conv2d(channels[step], channels[step + 1], 4, 2, 1) for step in range(plan.doublings)]
    return Layers(convolutions, range(1, plan.doublings), DISCRIMINATOR_EPS)


def upsample_clip(plan: ClipPlan, step: int, channels: int) -> nn.ConvTranspose3d:
    """Build the transposed convolution of a doubling: of the resolution, and of the frames where the plan says so."""
    stride = (1 + plan.doubles_frames(step), 2, 2)
    return nn.ConvTranspose3d(plan.features[step], channels, (_frame_kernel(plan, step), 4, 4), stride, 1)


def _frame_kernel(plan: ClipPlan, step: int) -> int:
    """Extent of a kernel over time: 4 doubles the number of frames, 3 keeps it."""
    return 3 + plan.doubles_frames(step)


def batch_norm(convolution: nn.Module, eps: float) -> nn.Module:
    """Build the batch norm after a convolution."""
    if isinstance(convolution, nn.Conv3d | nn.ConvTranspose3d):
        return nn.BatchNorm3d(convolution.out_channels, eps)
    assert isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d)
    return nn.BatchNorm2d(convolution.out_channels, eps)


def initialise(network: nn.Module, preserve_variance: bool = False) -> None:
    """Draw weights of convolutions from N(0, 0.01) and scales of norms from N(1, 0.02), as released; set biases to 0.

    preserve_variance: draw the weights of convolutions from N(0, 2 / fan-in): without norms, activations would shrink
    from layer to layer.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.normal_(layer.weight, 0.0, (2 / fan_in(layer)) ** 0.5 if preserve_variance else 0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
