"""Networks of MoCoGAN: motion codes from a recurrent network, frames from codes, scores of images and of videos.

Layers and sizes are those of the release at 64 x 64 pixels and 16 frames. Other sizes have more or fewer stages;
shorter clips have shorter kernels in time.

Shapes: N clips or images, T frames, C channels, H x W pixels, M entries of a motion code, Z entries of a whole code, K
categories.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from torch import Tensor, nn

from zoo.blocks.halving import count_halvings
from zoo.blocks.instance_noise import InstanceNoise

KERNEL = 4
"""Size of every convolution, in time as in space."""
SLOPE = 0.2
"""Negative slope of the leaky ReLUs."""


class MotionNetwork(nn.Module):
    """One step of the recurrent network: noise (N, M) and motion code (N, M) -> motion code of the next frame (N, M).

    A motion code is the state of a GRU; the code before the first frame is drawn from N(0, 1).
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(size, size)

    def forward(self, noise: Tensor, code: Tensor) -> Tensor:
        """The next motion code."""
        return self.cell(noise, code)


class ImageGenerator(nn.Module):
    """Codes (N, Z) -> images (N, C, H, W) in (-1, 1): transposed convolutions with batch norm, as in DCGAN.

    width: channels of the last hidden layer, doubled by every layer before it.
    """

    def __init__(self, code: int, width: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        levels = count_halvings(*size)
        coarsest = (size[0] >> levels, size[1] >> levels)
        wide = width << (levels - 1)
        layers: list[nn.Module] = [nn.ConvTranspose2d(code, wide, coarsest, bias=False), *_norm_and_relu(wide)]
        for _ in range(levels - 1):
            layers += [nn.ConvTranspose2d(wide, wide // 2, KERNEL, 2, 1, bias=False), *_norm_and_relu(wide // 2)]
            wide //= 2
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(wide, channels, KERNEL, 2, 1, bias=False), nn.Tanh())
        initialise(self)

    def forward(self, codes: Tensor) -> Tensor:
        """The images of codes, each by itself."""
        return self.layers(codes[:, :, None, None])

    @property
    def uses_batch_statistics(self) -> bool:
        """Whether images depend on the others of their batch at the moment."""
        return any(layer.training for layer in self.layers if isinstance(layer, nn.BatchNorm2d))


def _norm_and_relu(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


class DiscriminatorPlan(NamedTuple):
    """Form of a discriminator."""

    channels: int
    """C."""

    height: int
    """H."""

    width_px: int
    """W."""

    frames: int | None
    """Length of its clips; None: it sees images."""

    width: int
    """Channels of the first layer, doubled by every further layer."""

    patch: bool = False
    """Whether it scores patches instead of whole images or clips."""

    norm: bool = True
    """Whether it has batch norm; without it, convolutions have biases."""

    noise: float = 0.0
    """Standard deviation of the noise before its layers."""

    categories: int = 0
    """K; 0: it does not classify."""


class DiscriminatorOutput(NamedTuple):
    """What a discriminator says."""

    scores: Tensor
    """One or more per image or clip, (N, …): large is real."""

    logits: Tensor | None
    """Of the categories, (N, K); None if it does not classify."""


class Discriminator(nn.Module):
    """Scores images (N, C, H, W) or clips (N, T, C, H, W), and may classify them.

    The convolutions halve height and width. In time they have stride 1 and no padding, so each takes frames off. The
    last one gives scores and logits.
    """

    def __init__(self, plan: DiscriminatorPlan) -> None:
        super().__init__()
        levels = count_halvings(plan.height, plan.width_px)
        stages = levels - plan.patch
        times = [()] * (stages + 1) if plan.frames is None else [(k,) for k in time_kernels(plan.frames, stages + 1)]
        self.sees_clips = plan.frames is not None
        self.categories = plan.categories
        layers: list[nn.Module] = []
        before = plan.channels
        for stage in range(stages):
            channels = plan.width << stage
            layers.append(
                Stage(before, channels, times[stage], plan.norm and stage > 0, plan.noise, bias=not plan.norm)
            )
            before = channels
        self.stages = nn.Sequential(*layers)
        # In the release, only the patch discriminator of images has noise before its last layer.
        self.noise = InstanceNoise(plan.noise if plan.patch and plan.frames is None else 0.0)
        outputs = 1 + plan.categories
        if plan.patch:
            self.head = _strided(before, outputs, times[-1], bias=not plan.norm)
        else:
            coarsest = (plan.height >> levels, plan.width_px >> levels)
            self.head = _convolution(before, outputs, (*times[-1], *coarsest), bias=not plan.norm)
        initialise(self)

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        """Score and classify."""
        if self.sees_clips:
            x = x.transpose(1, 2)
        maps = self.head(self.noise(self.stages(x)))
        logits = maps[:, 1:].flatten(2).mean(2) if self.categories else None
        return DiscriminatorOutput(maps[:, :1], logits)


class Stage(nn.Sequential):
    """Noise, a convolution that halves the resolution, optionally batch norm, leaky ReLU."""

    def __init__(
        self, channels_in: int, channels: int, time: tuple[int, ...], norm: bool, noise: float, bias: bool
    ) -> None:
        convolution = _strided(channels_in, channels, time, bias)
        kind = nn.BatchNorm3d if time else nn.BatchNorm2d
        norms = [kind(channels)] if norm else []
        super().__init__(InstanceNoise(noise), convolution, *norms, nn.LeakyReLU(SLOPE, inplace=True))


def _strided(channels_in: int, channels: int, time: tuple[int, ...], bias: bool) -> nn.Conv2d | nn.Conv3d:
    """A convolution that halves height and width. time: its length in time; empty for images."""
    ones, zeros = (1,) * len(time), (0,) * len(time)
    return _convolution(channels_in, channels, (*time, KERNEL, KERNEL), bias, (*ones, 2, 2), (*zeros, 1, 1))


def _convolution(
    channels_in: int, channels: int, kernel: tuple[int, ...], bias: bool, stride: Any = 1, padding: Any = 0
) -> nn.Conv2d | nn.Conv3d:
    kind: Any = nn.Conv2d if len(kernel) == 2 else nn.Conv3d
    return kind(channels_in, channels, kernel, stride, padding, bias=bias)


def time_kernels(frames: int, layers: int) -> list[int]:
    """Length in time of each of ``layers`` convolutions over clips of ``frames`` frames.

    4, as published, if the clips are long enough; else the lengths that leave one frame, as equal as possible.
    """
    taken = min((KERNEL - 1) * layers, frames - 1)
    return [1 + taken // layers + (layer < taken % layers) for layer in range(layers)]


def initialise(network: nn.Module) -> None:
    """Draw the initial weights of PyTorch of 2017, which the published networks started from.

    Convolutions and their biases: uniform up to 1 / √(input channels · kernel elements), also if transposed. Scales of
    batch norm: uniform in [0, 1].
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d):
            bound = 1 / math.sqrt(layer.in_channels * math.prod(layer.kernel_size))
            nn.init.uniform_(layer.weight, -bound, bound)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(layer.weight)
