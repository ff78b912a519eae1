"""The sequential generator of vid2vid: from label maps and past frames to the next frame (arXiv 1808.06601, sec. 3).

It paints an intermediate image, predicts the flow from the frame before and a mask, and blends:
what can be seen in the frame before is warped, what cannot is painted.

Shapes: N clips, L past frames, C channels of the given map, H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.blocks.convolution import ResidualBlock, down, head, initialise, stem, up
from zoo.flow.warp import warp

FLOW_SCALE = 20.0  # pixels a unit of the flow head, as released


@dataclass(frozen=True)
class Painted:
    """One generated frame and what it was made from, each (N, ., H, W)."""

    frame: Tensor  # the result, in [-1, 1]
    intermediate: Tensor  # h, painted from nothing, in [-1, 1]
    flow: Tensor  # w, pixels, backward: where in the frame before a pixel comes from
    mask: Tensor  # m in [0, 1]: 1 paints, 0 warps


class SequentialGenerator(nn.Module):
    """F of eq. 4: two encoders whose codes are added, and a decoder each for the image and for flow and mask."""

    def __init__(
        self, given_channels: int, past_frames: int, width: int, downsamplings: int, blocks: int, norm: str
    ) -> None:
        super().__init__()
        code = width * 2**downsamplings
        encoding, decoding = blocks - blocks // 2, blocks // 2

        def encoder(channels: int) -> nn.Sequential:
            layers = stem(channels, width, norm)
            for level in range(downsamplings):
                layers += down(width * 2**level, norm)
            return nn.Sequential(*layers, *(ResidualBlock(code, norm) for _ in range(encoding)))

        def decoder() -> nn.Sequential:
            layers: list[nn.Module] = [ResidualBlock(code, norm) for _ in range(decoding)]
            for level in range(downsamplings):
                layers += up(code // 2**level, norm)
            return nn.Sequential(*layers)

        self.given_encoder = encoder((past_frames + 1) * given_channels)
        self.past_encoder = encoder(past_frames * 3)
        self.image_decoder = decoder()
        self.image_head = nn.Sequential(*head(width, 3), nn.Tanh())
        self.flow_decoder = decoder()
        self.flow_head = nn.Sequential(*head(width, 2))
        self.mask_head = nn.Sequential(*head(width, 1), nn.Sigmoid())
        initialise(self)
        # As released, an untrained network warps by 8 px at random. Ours begins by standing still.
        for parameter in self.flow_head.parameters():
            nn.init.normal_(parameter, 0.0, 2e-4)

    def forward(self, given: Tensor, past: Tensor, warps: bool = True) -> Painted:
        """Paint the next frame.

        given: (N, (L+1)·C, H, W), the maps of the L frames before and of this one, oldest first. past: (N, L·3, H, W),
        the L frames before, oldest first. warps: False when there is no frame before, and the frame is all painted.
        """
        code = self.given_encoder(given) + self.past_encoder(past)
        intermediate = self.image_head(self.image_decoder(code))
        motion = self.flow_decoder(code)
        flow = FLOW_SCALE * self.flow_head(motion)
        mask = self.mask_head(motion)
        if not warps:
            return Painted(intermediate, intermediate, flow, torch.ones_like(mask))
        return Painted(blend(mask, intermediate, warp(past[:, -3:], flow)), intermediate, flow, mask)


def blend(mask: Tensor, intermediate: Tensor, warped: Tensor) -> Tensor:
    """Eq. 4: F = (1 - m) ⊙ w(x[t-1]) + m ⊙ h."""
    return (1 - mask) * warped + mask * intermediate
