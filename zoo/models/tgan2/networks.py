"""Networks of TGANv2: a ConvLSTM, a renderer with a head at every level, and residual discriminators of clips.

Shapes: N clips or images, T frames, C channels, H x W pixels, Z entries of a code, R recurrent features of h x w
pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 2e-5
"""Of every batch norm, as in Chainer."""
CHANNELS = (16, 8, 4, 2, 1, 1)
"""Channels after each doubling of the resolution, times the width; with fewer doublings, the last ones."""
STAGES = 5
"""Residual blocks of a discriminator."""
State = tuple[Tensor, Tensor]
"""Hidden state and cell, each (N, R, h, w)."""


@dataclass(frozen=True)
class ImagePlan:
    """Sizes of the frames, and how often they are doubled."""

    height: int
    width: int
    image_channels: int

    @property
    def doublings(self) -> int:
        """At most six, and as many as both sides can be halved."""
        number = 0
        while number < len(CHANNELS) and not self.height % 2 ** (number + 1) and not self.width % 2 ** (number + 1):
            number += 1
        return number

    @property
    def start(self) -> tuple[int, int]:
        """Height and width before the first doubling."""
        return self.height >> self.doublings, self.width >> self.doublings


class ConvLSTM(nn.Module):
    """One step of a convolutional LSTM without peepholes (Shi et al. 2015, arXiv 1506.04214).

    The input (N, channels, h, w) may be None, which is zero; so may the state.
    """

    def __init__(self, channels: int, features: int, kernel: int = 3) -> None:
        super().__init__()
        self.features = features
        self.input = nn.Conv2d(channels, 4 * features, kernel, padding=kernel // 2)
        self.state = nn.Conv2d(features, 4 * features, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor | None, state: State | None) -> State:
        """The next hidden state and cell."""
        assert self.input.bias is not None
        gates = self.input.bias[:, None, None] if x is None else self.input(x)
        if state is not None:
            gates = gates + self.state(state[0])
        enter, forget, out, candidate = gates.chunk(4, -3)
        cell = enter.sigmoid() * candidate.tanh()
        if state is not None:
            cell = cell + forget.sigmoid() * state[1]
        return out.sigmoid() * cell.tanh(), cell


class Recurrence(nn.Module):
    """One step of a stack of ConvLSTMs: input or None, states of the layers or None -> their next states.

    The last layer's hidden state holds the features of the frame.
    """

    def __init__(self, features: int, layers: int) -> None:
        super().__init__()
        self.cells = nn.ModuleList(ConvLSTM(features, features) for _ in range(layers))

    def forward(self, x: Tensor | None, states: Sequence[State] | None) -> list[State]:
        """The next states."""
        after: list[State] = []
        for number, cell in enumerate(self.cells):
            after.append(cell(x, None if states is None else states[number]))
            x = after[-1][0]
        return after


class Start(nn.Module):
    """Codes (N, Z) -> the input of the first recurrent step, (N, R, h, w)."""

    def __init__(self, code: int, features: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.shape = (features, *size)
        self.linear = nn.Linear(code, prod(self.shape))

    def forward(self, code: Tensor) -> Tensor:
        """A linear map."""
        return self.linear(code).view(-1, *self.shape)


class ClassNorm(nn.BatchNorm2d):
    """Batch norm; with K classes, scale and shift are those of the class of each image."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, EPS, affine=not classes)
        self.gammas = self.betas = None
        if classes:
            self.gammas, self.betas = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
            nn.init.ones_(self.gammas.weight)
            nn.init.zeros_(self.betas.weight)

    def of_classes(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """(N, C, H, W), classes (N,) -> (N, C, H, W). Not ``forward``, which a synced norm replaces."""
        x = self(x)
        if self.gammas is None or self.betas is None:
            return x
        return x * self.gammas(classes)[:, :, None, None] + self.betas(classes)[:, :, None, None]


class UpBlock(nn.Module):
    """A residual block that doubles the resolution: (N, Cin, H, W), classes (N,) -> (N, C, 2 H, 2 W)."""

    def __init__(self, wide: int, narrow: int, classes: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ClassNorm(wide, classes), ClassNorm(narrow, classes)
        self.conv1 = nn.Conv2d(wide, narrow, 3, padding=1)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, padding=1)
        self.shortcut = nn.Conv2d(wide, narrow, 1)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """The block. Enlarging and a 1 x 1 convolution commute, so the shortcut enlarges last."""
        y = self.conv1(_doubled(F.relu(self.norm1.of_classes(x, classes))))
        return self.conv2(F.relu(self.norm2.of_classes(y, classes))) + _doubled(self.shortcut(x))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class Head(nn.Module):
    """Features (N, C, H, W), classes (N,) -> images in (-1, 1)."""

    def __init__(self, wide: int, image_channels: int, classes: int) -> None:
        super().__init__()
        self.norm = ClassNorm(wide, classes)
        self.conv = nn.Conv2d(wide, image_channels, 3, padding=1)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """The images."""
        return torch.tanh(self.conv(F.relu(self.norm.of_classes(x, classes))))


class Subsampling(NamedTuple):
    """What is left of the clips from one level to the next."""

    frame_step: int
    """One frame of so many is kept."""

    clip_step: int = 1
    """One clip of so many is kept."""

    phase: int | None = 0
    """The first frame that is kept; None: the mean of each group of frames."""


class Renderer(nn.Module):
    """Features of frames, (N, T, R, h, w) -> clips of every level, coarsest first, each (N, T, C, H, W).

    levels: number of heads; the last one has the full resolution. classes: K; 0: none.
    """

    def __init__(self, features: int, width: int, levels: int, plan: ImagePlan, classes: int) -> None:
        super().__init__()
        channels = [features, *(width * factor for factor in CHANNELS[len(CHANNELS) - plan.doublings :])]
        self.blocks = nn.ModuleList(UpBlock(channels[i], channels[i + 1], classes) for i in range(plan.doublings))
        self.heads = nn.ModuleList(Head(wide, plan.image_channels, classes) for wide in channels[-levels:])

    def forward(
        self, features: Tensor, classes: Tensor | None = None, subsamplings: Sequence[Subsampling] = ()
    ) -> list[Tensor]:
        """Render. classes: (N,). subsamplings: between each two levels; without any, of the last level alone."""
        x, count = features, len(features)
        videos = []
        first = len(self.blocks) - len(self.heads)
        for number, block in enumerate(self.blocks):
            level = number - first
            if subsamplings and level > 0:
                x = subsample(x, subsamplings[level - 1])
                classes = None if classes is None else classes[:: subsamplings[level - 1].clip_step]
                count = len(x)
            ids = None if classes is None else classes.repeat_interleave(x.shape[1])
            frames = block(x.flatten(0, 1), ids)
            x = frames.view(count, -1, *frames.shape[1:])
            if level == len(self.heads) - 1 or (subsamplings and level >= 0):
                images = self.heads[level](frames, ids)
                videos.append(images.view(count, -1, *images.shape[1:]))
        return videos


def subsample(x: Tensor, how: Subsampling) -> Tensor:
    """(N, T, …) -> fewer frames of fewer clips."""
    x = x[:: how.clip_step]
    frames = x.shape[1] // how.frame_step
    if how.phase is None:
        groups = x[:, : frames * how.frame_step].reshape(len(x), frames, how.frame_step, *x.shape[2:])
        return groups.mean(2)
    return x[:, how.phase :: how.frame_step][:, :frames]


def pyramid(
    video: Tensor, phases: Tensor | None, frame_steps: Sequence[int], clip_steps: Sequence[int]
) -> list[Tensor]:
    """Levels of real clips, coarsest first: sparser in time and finer in space from one to the next.

    video: (N, T, C, H, W). phases: the first frame that is kept of each clip before each level but the first, int64
    (N, L - 1); None: means of groups of frames. Only every so-many-th clip is kept.
    """
    levels = [video]
    for number, (frame_step, clip_step) in enumerate(zip(frame_steps, clip_steps, strict=True)):
        x = levels[-1][::clip_step]
        if phases is None:
            levels.append(subsample(x, Subsampling(frame_step, phase=None)))
            continue
        phases = phases[::clip_step]
        frames = torch.arange(x.shape[1] // frame_step, device=x.device) * frame_step
        chosen = phases[:, number, None] + frames
        levels.append(x[torch.arange(len(x), device=x.device)[:, None], chosen])
    last = len(levels) - 1
    return [shrink(level, 2 ** (last - number)) for number, level in enumerate(levels)]


def shrink(video: Tensor, factor: int) -> Tensor:
    """Means of squares of ``factor`` pixels: (N, T, C, H, W) -> (N, T, C, H / factor, W / factor)."""
    return F.avg_pool3d(video, (1, factor, factor)) if factor > 1 else video


# ---------------------------------------------------------------- discriminators


class Discriminator(nn.Module):
    """Scores clips, (N, T, C, H, W) -> (N,), or images, (N, C, H, W) -> (N,), with residual blocks and no norm.

    width: channels of the first block, doubled by each further one. classes: K; 0: none, else the score of a clip of a
    class is a projection (Miyato and Koyama 2018, arXiv 1802.05637). padded: pool as the release does, see `halve`.
    """

    def __init__(
        self, image_channels: int, width: int, classes: int = 0, padded: bool = False, images: bool = False
    ) -> None:
        super().__init__()
        channels = [image_channels, *(width << stage for stage in range(STAGES))]
        self.images, self.padded = images, padded
        self.blocks = nn.ModuleList(
            DownBlock(channels[stage], channels[stage + 1], first=stage == 0, images=images, padded=padded)
            for stage in range(STAGES)
        )
        self.linear = nn.Linear(channels[-1], 1)
        self.embedding = nn.Embedding(classes, channels[-1]) if classes else None

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Scores: large is real. classes: (N,) int64; clips of the class -1, which is unknown, get no projection."""
        x = x if self.images else x.transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        features = F.relu(x).flatten(2).sum(2)
        scores = self.linear(features)[:, 0]
        if self.embedding is None or classes is None:
            return scores
        return scores + (classes >= 0) * (self.embedding(classes.clamp(min=0)) * features).sum(1)


class DownBlock(nn.Module):
    """A residual block that halves frames and resolution; the first one halves the resolution alone."""

    def __init__(self, narrow: int, wide: int, first: bool, images: bool, padded: bool) -> None:
        super().__init__()
        kind = nn.Conv2d if images else nn.Conv3d
        self.first, self.padded = first, padded
        self.conv1 = kind(narrow, wide if first else narrow, 3, padding=1)
        self.conv2 = kind(wide if first else narrow, wide, 3, padding=1)
        self.shortcut = kind(narrow, wide, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, Cin, [T,] H, W) -> (N, C, …). Pooling and a 1 x 1 convolution commute, without padding."""
        y = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        if self.first:
            return _halve_resolution(y) + self.shortcut(_halve_resolution(x))
        return halve(y + self.shortcut(x), self.padded)


def _halve_resolution(x: Tensor) -> Tensor:
    return F.avg_pool3d(x, (1, 2, 2)) if x.ndim == 5 else F.avg_pool2d(x, 2)


def halve(x: Tensor, padded: bool) -> Tensor:
    """Average pooling of (N, C, [T,] H, W) by 2 along every axis longer than 1. Odd axes are rounded up.

    padded: as in the release, which pads odd axes with zeros, and counts them; an axis of length 1 becomes (0, x, 0).
    """
    sizes = x.shape[2:]
    kernel = [2 if size > 1 else 1 for size in sizes]
    pool = F.avg_pool3d if len(sizes) == 3 else F.avg_pool2d
    if not padded:
        return pool(x, kernel, ceil_mode=True, count_include_pad=False)
    margins = [margin for size in reversed(sizes) for margin in (size % 2, size % 2)]
    return pool(F.pad(x, margins), kernel)


class LevelDiscriminators(nn.Module):
    """One discriminator a level: clips of all levels -> all scores, level by level, (N1 + N2 + …,)."""

    def __init__(self, levels: int, image_channels: int, width: int, classes: int = 0, padded: bool = False) -> None:
        super().__init__()
        self.levels = nn.ModuleList(Discriminator(image_channels, width, classes, padded) for _ in range(levels))

    def forward(self, videos: Sequence[Tensor], classes: Sequence[Tensor | None]) -> Tensor:
        """videos, classes: one a level."""
        return torch.cat([net(*each) for net, *each in zip(self.levels, videos, classes, strict=True)])


# ---------------------------------------------------------------- images from two codes


class ImageGenerator(nn.Module):
    """Slow codes (N, S) and fast codes (N, T, F) -> clips (N, T, C, H, W) with residual blocks: the published generator
    of class-conditional clips."""

    def __init__(self, slow: int, fast: int, width: int, plan: ImagePlan, classes: int, doublings: int = 4) -> None:
        super().__init__()
        channels = [width << level for level in reversed(range(doublings + 1))]
        self.start = (channels[0] // 2, plan.height >> doublings, plan.width >> doublings)
        self.slow, self.fast = (nn.Linear(code, prod(self.start)) for code in (slow, fast))
        self.blocks = nn.ModuleList(UpBlock(channels[i], channels[i + 1], classes) for i in range(doublings))
        self.head = Head(width, plan.image_channels, classes)

    def forward(self, slow: Tensor, fast: Tensor, classes: Tensor | None = None) -> Tensor:
        """The clips; classes: of the clips, (N,), or of their frames, (N, T)."""
        frames = fast.shape[1]
        still = self.slow(slow).repeat_interleave(frames, 0)
        x = torch.cat([half.view(-1, *self.start) for half in (still, self.fast(fast.flatten(0, 1)))], 1)
        if classes is not None:
            classes = classes.repeat_interleave(frames) if classes.ndim == 1 else classes.flatten()
        for block in self.blocks:
            x = block(x, classes)
        images = self.head(x, classes)
        return images.view(-1, frames, *images.shape[1:])


def initialise(network: nn.Module) -> None:
    """Draw weights as the release does, and set biases to 0.

    Residual blocks: Glorot uniform with gain √2; with gain 1 their shortcuts, and the linear maps to a score and of two
    codes. Others: normal with variance 1 / fan-in.
    """
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv3d):
            continue
        last = name.rpartition(".")[2]
        if last in ("conv1", "conv2", "shortcut", "slow", "fast") or (last == "linear" and layer.out_features == 1):
            nn.init.xavier_uniform_(layer.weight, 2**0.5 if last in ("conv1", "conv2") else 1.0)
        else:
            nn.init.normal_(layer.weight, 0.0, prod(layer.weight.shape[1:]) ** -0.5)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
