"""The sequential generator of vid2vid, coarse to fine: from maps and past frames to the next frame (sec. 3).

Every scale generates an intermediate image, predicts the flow to the previous frame and a mask, and blends the warped
previous frame with the intermediate image. A finer scale starts from the features of the coarser one (sec. 3.3,
"spatio-temporally progressive"): ``scales[0]`` is the paper's G1, followed by G2 and G3.

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

FLOW_HEAD_UNIT = 20.0  # a unit of the flow head in pixels of the coarsest scale, as released


class GeneratedFrame(NamedTuple):
    """One generated frame at one scale, and its intermediate results, each (N, ., H, W)."""

    frame: Tensor  # RGB in [-1, 1]
    intermediate: Tensor  # h, RGB in [-1, 1], generated without warping
    flow: Tensor | None  # w, pixels, backward: to the source of each pixel in the previous frame
    mask: Tensor | None  # m in [0, 1]: 1 takes the intermediate image, 0 the warped previous frame
    image_features: Tensor  # input of the finer scale, like the other features
    flow_features: Tensor | None
    foreground_features: Tensor | None

    def detach(self) -> GeneratedFrame:
        """Detach all tensors."""
        return GeneratedFrame(*(None if x is None else x.detach() for x in self))  # type: ignore[arg-type]


@dataclass(frozen=True)
class ScalePlan:
    """Sizes of one scale's generator."""

    width: int
    """Channels of the first layer."""

    foreground_width: int
    """Channels of the first layer of the foreground branch."""

    downsamplings: int
    blocks: tuple[int, int, int]
    """Residual blocks of each encoder, of each decoder, and of the foreground decoder."""

    flow_unit: float
    """Pixels per unit of the flow head."""


def plan_scales(scales: int, width: int, downsamplings: int, blocks: int, local_blocks: int) -> list[ScalePlan]:
    """Sizes of all scales as published, coarsest first: finer scales have half the channels and one downsampling."""
    plans = []
    for scale in range(scales):
        w = width // 2**scale
        foreground = w // 2 if downsamplings > 2 else w
        flow_unit = FLOW_HEAD_UNIT * 2**scale
        if scale == 0:
            numbers = (blocks - blocks // 2, blocks // 2, blocks)
            plans.append(ScalePlan(w, foreground, downsamplings, numbers, flow_unit))
        else:
            plans.append(ScalePlan(w, foreground, 1, (0, local_blocks, local_blocks), flow_unit))
    return plans


class ScaleGenerator(nn.Module):
    """F of eq. 4 at one scale: two encoders whose outputs are added, a decoder for the image, one for flow and mask.

    foreground: add a branch that generates the foreground classes from the maps alone (sec. 3.3). classes: number of
    channels of a map that are one-hot; they come first.
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
        self.flow_unit = plan.flow_unit
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
        self, given: Tensor, past: Tensor, warps: bool, foreground: Tensor | None, coarser: GeneratedFrame | None
    ) -> GeneratedFrame:
        """Generate the next frame at this scale.

        given: (N, (L+1)·C, H, W), maps of the L previous frames and of this one, oldest first. past: (N, L·3, H, W).
        foreground: mask (N, 1, H, W) in [0, 1], 1 is foreground. coarser: the frame at the next coarser scale.
        """
        code = self.given_encoder(given) + self.past_encoder(past)
        image_features = self.image_decoder(_add_features(code, None if coarser is None else coarser.image_features))
        intermediate = frame = self.image_head(image_features)
        flow = mask = flow_features = foreground_features = None
        if self.uses_flow:
            flow_features = self.flow_decoder(_add_features(code, None if coarser is None else coarser.flow_features))
            pad, to_mask, sigmoid = self.mask_head
            to_flow = cast(FewChannelConv2d, self.flow_head[1])
            flow, mask = to_flow.forward_with(cast(FewChannelConv2d, to_mask), pad(flow_features))
            flow, mask = self.flow_unit * flow, sigmoid(mask)
            if warps:
                frame = blend(mask, intermediate, warp(past[:, -3:], flow))
        if self.generates_foreground:
            assert foreground is not None, "a foreground branch needs the mask of the foreground"
            code = self.foreground_encoder(given)
            foreground_features = self.foreground_decoder(
                _add_features(code, None if coarser is None else coarser.foreground_features)
            )
            foreground_image = self.foreground_head(foreground_features)
            # As released, the foreground is pasted into both images and never warped.
            intermediate, frame = (blend(foreground, foreground_image, image) for image in (intermediate, frame))
        return GeneratedFrame(frame, intermediate, flow, mask, image_features, flow_features, foreground_features)


class SequentialGenerator(nn.Module):
    """The generators of all scales, coarsest first.

    foreground: channels of a map that are foreground classes; empty: no foreground branch. classes: number of channels
    of a map that are one-hot at the finest scale; they come first. At coarser scales they are averages.
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
        one_hot_channels = [0] * (len(plans) - 1) + [classes]
        self.scales = nn.ModuleList(
            ScaleGenerator(given_channels, past_frames, plan, norm, uses_flow, bool(foreground), one_hot)
            for plan, one_hot in zip(plans, one_hot_channels, strict=True)
        )
        initialise(self)
        # Start near zero flow. With the initialisation of the release, an untrained network warps by random 8 px.
        for name, parameter in self.named_parameters():
            if ".flow_head." in name:
                nn.init.normal_(parameter, 0.0, 2e-4)

    def forward(
        self, given: Sequence[Tensor], past: Sequence[Tensor], warps: bool = True, freeze_coarse: bool = False
    ) -> list[GeneratedFrame]:
        """Generate the next frame at as many scales as are given, coarsest first.

        given: per scale (N, (L+1)·C, H, W), maps of the L previous frames and of this one, oldest first. past: per
        scale (N, L·3, H, W), the L previous frames. warps: False: do not warp, because there is no previous frame.
        freeze_coarse: detach the coarser scales, so that only the finest is trained.
        """
        generated: list[GeneratedFrame] = []
        for scale, maps, frames in zip(self.scales, given, past, strict=False):
            # On a CPU, channels-last layout is 1.2 times as fast; all layers keep it.
            if maps.device.type == "cpu":
                maps, frames = (x.contiguous(memory_format=torch.channels_last) for x in (maps, frames))
            coarser = generated[-1] if generated else None
            if coarser is not None and freeze_coarse:
                coarser = coarser.detach()
            generated.append(scale(maps, frames, warps, self.foreground_mask(maps), coarser))
        return generated

    def foreground_mask(self, given: Tensor) -> Tensor | None:
        """Foreground mask of this frame: (N, (L+1)·C, H, W) -> (N, 1, H, W) in [0, 1]; None without foreground."""
        if not self.foreground:
            return None
        current = given[:, -self.given_channels :]
        return torch.stack([current[:, channel] for channel in self.foreground], 1).sum(1, keepdim=True).clamp(0, 1)


def _add_features(code: Tensor, features: Tensor | None) -> Tensor:
    """Add the features of the coarser scale, if there is one."""
    return code if features is None else code + features


def blend(mask: Tensor, generated: Tensor, warped: Tensor) -> Tensor:
    """Eq. 4: m ⊙ generated + (1 - m) ⊙ warped."""
    return mask * generated + (1 - mask) * warped
