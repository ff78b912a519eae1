"""The generator of DVD-GAN: noise and class give a small map; convolutional GRUs unroll it, residual blocks enlarge it.

Shapes: B clips, T frames, C channels, H x W pixels, Z entries of the noise, K entries of the condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from zoo.blocks.attention import FrameAttention, SeparableAttention
from zoo.blocks.conv_gru import ConvGRU
from zoo.blocks.halving import count_halvings
from zoo.blocks.spectral_norm import spectral_norm
from zoo.models.dvdgan.blocks import DiscriminatorBlock, GeneratorBlock

WIDEST = 8
"""Largest multiple of the width, at the coarsest resolutions."""


@dataclass(frozen=True)
class GeneratorPlan:
    """Sizes of the generator."""

    height: int
    width: int
    image_channels: int
    channels: int
    """ch: a layer has 1 to 8 times as many."""

    noise: int
    classes: int
    """0: without classes."""

    embedding: int
    """Entries of the embedding of a class."""

    every_resolution: bool
    """A recurrent layer before every resolution, as in the second version; False: before the first one alone."""

    attention: bool
    """Self-attention after the first recurrent layer and separable attention before the last block, as in the first
    version."""

    norm_frames: int | None
    """See `ConditionalNorm`."""

    given_frames: int
    """Frames that the clip continues; 0: it begins from nothing."""

    @property
    def groups(self) -> int:
        """Number of doublings of the resolution."""
        return count_halvings(self.height, self.width)

    @property
    def start(self) -> tuple[int, int]:
        """Height and width before the first doubling."""
        return self.height >> self.groups, self.width >> self.groups

    @property
    def features(self) -> list[int]:
        """Channels before the first group and after each."""
        return [self.channels * min(WIDEST, 2 ** (self.groups - group)) for group in range(-1, self.groups)]

    @property
    def condition(self) -> int:
        """Entries of what conditions every norm: noise and embedded class."""
        return self.noise + (self.embedding if self.classes else 0)


class Generator(nn.Module):
    """Generates as many frames as are asked for."""

    def __init__(self, plan: GeneratorPlan) -> None:
        super().__init__()
        self.plan = plan
        first, *_, last = features = plan.features
        # As in BigGAN, the embedding of the generator has no spectral norm.
        self.embedding = nn.Embedding(plan.classes, plan.embedding) if plan.classes else None
        self.linear = spectral_norm(nn.Linear(plan.condition, first * plan.start[0] * plan.start[1]))
        recurrent = range(plan.groups if plan.every_resolution else 1)
        self.recurrent = nn.ModuleList(ConvGRU(features[g], features[g], normalise=spectral_norm) for g in recurrent)
        sizes = [(plan.condition, False, plan.norm_frames), (plan.condition, True, plan.norm_frames)]
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                GeneratorBlock(features[group], features[group + number], *size, spectral_norm)
                for number, size in enumerate(sizes)
            )
            for group in range(plan.groups)
        )
        self.frame_attention = FrameAttention(first, spectral_norm) if plan.attention else None
        self.separable_attention = SeparableAttention(features[-2], spectral_norm) if plan.attention else None
        self.norm = nn.BatchNorm2d(last)
        self.head = spectral_norm(nn.Conv2d(last, plan.image_channels, 3, padding=1))
        self.given = GivenFrames(plan) if plan.given_frames else None
        initialise(self)

    def forward(self, noise: Tensor, classes: Tensor | None, frames: int, given: Tensor | None = None) -> Tensor:
        """Generate clips, (B, frames, C, H, W) in [-1, 1].

        noise: (B, Z). classes: ids (B,) int64, in a generator with classes. given: the frames that the clips continue,
        (B, T, C, H, W), in a generator that needs them; they are not repeated.
        """
        condition = noise
        if self.embedding is not None:
            assert classes is not None
            condition = torch.cat([noise, self.embedding(classes)], -1)
        states = [None] * len(self.recurrent)
        if self.given is not None:
            assert given is not None
            states = self.given(given)
        x = self.linear(condition).unflatten(1, (-1, *self.plan.start))
        for group, blocks in enumerate(self.blocks):
            same, larger = cast(nn.ModuleList, blocks)
            if group < len(self.recurrent):
                x = self.recurrent[group](x, states[group], frames)
            if group == 0 and self.frame_attention is not None:
                x = self.frame_attention(x)
            x = same(x, condition)
            if group == self.plan.groups - 1 and self.separable_attention is not None:
                x = self.separable_attention(x)
            x = larger(x, condition)
        images = self.head(self.norm(x.flatten(0, 1)).relu()).tanh()
        return images.unflatten(0, x.shape[:2])


class GivenFrames(nn.Module):
    """First states of the recurrent layers from given frames (sec. 3.3): each frame is encoded by itself.

    After every halving, the features of all frames are stacked, and a convolution makes the state of that resolution.
    """

    def __init__(self, plan: GeneratorPlan) -> None:
        super().__init__()
        self.frames = plan.given_frames
        channels = [plan.image_channels] + [plan.channels * min(WIDEST, 2**level) for level in range(plan.groups)]
        self.encoder = nn.ModuleList(
            DiscriminatorBlock(channels[n], channels[n + 1], True, first=n == 0, normalise=spectral_norm)
            for n in range(plan.groups)
        )
        recurrent = plan.groups if plan.every_resolution else 1
        self.to_state = nn.ModuleList(
            spectral_norm(nn.Conv2d(channels[plan.groups - g] * self.frames, plan.features[g], 3, padding=1))
            for g in range(recurrent)
        )

    def forward(self, given: Tensor) -> list[Tensor]:
        """(B, T, C, H, W) -> the state of every recurrent layer, coarsest first."""
        features, x = [], given.flatten(0, 1)
        for block in self.encoder:
            x = block(x)
            features.append(x.unflatten(0, (len(given), self.frames)).flatten(1, 2))
        return [layer(maps).relu() for layer, maps in zip(self.to_state, reversed(features), strict=False)]


def initialise(network: nn.Module) -> None:
    """Draw orthogonal weights, as matrices (out, -1), and set the biases of convolutions and linear maps to 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.Linear | nn.Embedding):
            parametrizations = getattr(layer, "parametrizations", None)
            nn.init.orthogonal_(layer.weight if parametrizations is None else parametrizations.weight.original)
            if isinstance(bias := getattr(layer, "bias", None), Tensor):
                nn.init.zeros_(bias)
