"""The sequential generator of vid2vid, coarse to fine: from maps and past frames to the next frame (sec. 3).

At every scale it paints an intermediate image, predicts the flow from the frame before and a mask, and blends: what
can be seen in the frame before is warped, what cannot is painted. A finer scale starts from the features of the
coarser one (sec. 3.3, "spatio-temporally progressive"): the paper's G1 is ``scales[0]``, G2 and G3 follow.

Shapes: N clips, L past frames, C channels of the map of one frame, H x W pixels of a scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from zoo.blocks.convolution import Norm, decoder, encoder, head, initialise
from zoo.blocks.cpu_convolution import FewChannelConv2d, OneHotConv2d
from zoo.flow.warp import warp

FLOW_RANGE = 20.0  # pixels of the coarsest scale that a unit of the flow head stands for, as released


class GeneratedFrame(NamedTuple):
    """One generated frame at one scale and what it was made from, each (N, ., H, W)."""

    frame: Tensor  # the result, in [-1, 1]
    intermediate: Tensor  # h, painted from nothing, in [-1, 1]
    flow: Tensor | None  # w, pixels, backward: where in the frame before a pixel comes from
    mask: Tensor | None  # m in [0, 1]: 1 paints, 0 warps
    image_features: Tensor  # what the finer scale starts from
    flow_features: Tensor | None
    foreground_features: Tensor | None

    def detached(self) -> GeneratedFrame:
        """The same without gradients: the finer scale learns alone."""
        return GeneratedFrame(*(None if x is None else x.detach() for x in self))  # type: ignore[arg-type]


@dataclass(frozen=True)
class ScalePlan:
    """The form of one scale's generator.

    blocks: residual blocks of (each encoder, each decoder, the foreground's decoder). flow_range: pixels of a unit of
    the flow head.
    """

    width: int
    foreground_width: int
    downsamplings: int
    blocks: tuple[int, int, int]
    flow_range: float


def plan_scales(scales: int, width: int, downsamplings: int, blocks: int, local_blocks: int) -> list[ScalePlan]:
    """The published plan, coarsest first: each finer scale has half the channels and one downsampling."""
    plans = []
    for scale in range(scales):
        w = width // 2**scale
        foreground = w // 2 if downsamplings > 2 else w
        flow_range = FLOW_RANGE * 2**scale
        if scale == 0:
            numbers = (blocks - blocks // 2, blocks // 2, blocks)
            plans.append(ScalePlan(w, foreground, downsamplings, numbers, flow_range))
        else:
            plans.append(ScalePlan(w, foreground, 1, (0, local_blocks, local_blocks), flow_range))
    return plans


class ScaleGenerator(nn.Module):
    """F of eq. 4 at one scale: two encoders whose codes are added, a decoder for the image, one for flow and mask.

    With ``foreground`` a third way paints the foreground classes from their map alone (sec. 3.3). classes: how many of
    the first channels of a map are one-hot.
    """

    def __init__(
        self,
        given_channels: int,
        past_frames: int,
        plan: ScalePlan,
        norm: Norm,
        uses_flow: bool,
        foreground: bool,
        classes: int = 0,
    ) -> None:
        super().__init__()
        width, down = plan.width, plan.downsamplings
        encoding, decoding, foreground_blocks = plan.blocks
        maps = (past_frames + 1) * given_channels
        self.flow_range = plan.flow_range
        first = partial(OneHotConv2d, frames=past_frames + 1, classes=classes)
        self.given_encoder = encoder(maps, width, down, encoding, norm, first)
        self.past_encoder = encoder(past_frames * 3, width, down, encoding, norm)
        self.image_decoder = decoder(width, down, decoding, norm)
        self.image_head = nn.Sequential(*head(width, 3), nn.Tanh())
        self.uses_flow, self.generates_foreground = uses_flow, foreground
        if uses_flow:
            self.flow_decoder = decoder(width, down, decoding, norm)
            self.flow_head = nn.Sequential(*head(width, 2))
            self.mask_head = nn.Sequential(*head(width, 1), nn.Sigmoid())
        if foreground:
            self.foreground_encoder = encoder(maps, plan.foreground_width, down, 0, norm, first)
            self.foreground_decoder = decoder(plan.foreground_width, down, foreground_blocks, norm)
            self.foreground_head = nn.Sequential(*head(plan.foreground_width, 3), nn.Tanh())

    def forward(
        self, given: Tensor, past: Tensor, warps: bool, foreground: Tensor | None, below: GeneratedFrame | None
    ) -> GeneratedFrame:
        """Paint the next frame at this scale.

        given: (N, (L+1)·C, H, W), the maps of the L frames before and of this one, oldest first. past: (N, L·3, H, W).
        foreground: (N, 1, H, W) in [0, 1], 1 where the foreground is. below: the next coarser scale's frame.
        """
        code = self.given_encoder(given) + self.past_encoder(past)
        image_features = self.image_decoder(_plus(code, None if below is None else below.image_features))
        intermediate = frame = self.image_head(image_features)
        flow = mask = flow_features = foreground_features = None
        if self.uses_flow:
            flow_features = self.flow_decoder(_plus(code, None if below is None else below.flow_features))
            pad, to_mask, squash = self.mask_head
            to_flow = cast(FewChannelConv2d, self.flow_head[1])
            flow, mask = to_flow.forward_with(cast(FewChannelConv2d, to_mask), pad(flow_features))
            flow, mask = self.flow_range * flow, squash(mask)
            if warps:
                frame = blend(mask, intermediate, warp(past[:, -3:], flow))
        if self.generates_foreground:
            assert foreground is not None, "a foreground branch needs the mask of the foreground"
            code = self.foreground_encoder(given)
            foreground_features = self.foreground_decoder(
                _plus(code, None if below is None else below.foreground_features)
            )
            figure = self.foreground_head(foreground_features)
            # As released: the foreground is laid over both pictures, and never warped.
            intermediate, frame = (blend(foreground, figure, picture) for picture in (intermediate, frame))
        return GeneratedFrame(frame, intermediate, flow, mask, image_features, flow_features, foreground_features)


class SequentialGenerator(nn.Module):
    """The generators of all scales, coarsest first.

    foreground: numbers of the channels of a map that are foreground classes; none builds no branch for them. classes:
    how many of the first channels of a map are one-hot, at the finest scale; at coarser ones they are averages.
    """

    def __init__(
        self,
        given_channels: int,
        past_frames: int,
        plans: Sequence[ScalePlan],
        norm: Norm,
        uses_flow: bool = True,
        foreground: Sequence[int] = (),
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.given_channels, self.past_frames = given_channels, past_frames
        self.foreground = tuple(foreground)
        one_hot = [0] * (len(plans) - 1) + [classes]
        self.scales = nn.ModuleList(
            ScaleGenerator(given_channels, past_frames, plan, norm, uses_flow, bool(foreground), those)
            for plan, those in zip(plans, one_hot, strict=True)
        )
        initialise(self)
        # As released, an untrained network warps by 8 px at random. Ours begins by standing still.
        for name, parameter in self.named_parameters():
            if ".flow_head." in name:
                nn.init.normal_(parameter, 0.0, 2e-4)

    def forward(
        self, given: Sequence[Tensor], past: Sequence[Tensor], warps: bool = True, freeze_coarse: bool = False
    ) -> list[GeneratedFrame]:
        """Paint the next frame at as many scales as are given, coarsest first.

        given: per scale (N, (L+1)·C, H, W), the maps of the L frames before and of this one, oldest first. past: per
        scale (N, L·3, H, W), the L frames before. warps: False when there is no frame before: all is painted.
        freeze_coarse: no gradient goes to the coarser scales.
        """
        painted: list[GeneratedFrame] = []
        for scale, maps, frames in zip(self.scales, given, past, strict=False):
            # On a processor with the channels of a pixel side by side, which all layers keep: 1.2 times as fast.
            if maps.device.type == "cpu":
                maps, frames = (x.contiguous(memory_format=torch.channels_last) for x in (maps, frames))
            below = painted[-1] if painted else None
            if below is not None and freeze_coarse:
                below = below.detached()
            painted.append(scale(maps, frames, warps, self.foreground_mask(maps), below))
        return painted

    def foreground_mask(self, given: Tensor) -> Tensor | None:
        """Where this frame's map says foreground, (N, (L+1)·C, H, W) -> (N, 1, H, W); soft at coarser scales."""
        if not self.foreground:
            return None
        now = given[:, -self.given_channels :]
        return torch.stack([now[:, channel] for channel in self.foreground], 1).sum(1, keepdim=True).clamp(0, 1)


def _plus(code: Tensor, features: Tensor | None) -> Tensor:
    return code if features is None else code + features


def blend(mask: Tensor, painted: Tensor, other: Tensor) -> Tensor:
    """Eq. 4: m ⊙ painted + (1 - m) ⊙ other."""
    return mask * painted + (1 - mask) * other
