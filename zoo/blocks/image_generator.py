"""Generators of single images from their map (pix2pixHD, Wang et al., CVPR 2018, arXiv 1711.11585, sec. 3.1 and 3.3).

Shapes: N images, C channels of a map, D channels of an appearance, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.blocks.convolution import Norm, down, head, initialise, residual_blocks, stem, up
from zoo.blocks.maps import pyramid

MAX_CHANNELS = 1024


class GlobalGenerator(nn.Module):
    """G1: an encoder, residual blocks and a decoder at one resolution.

    appearance: channels of an appearance that is given to every stage, as in the release's generator "with features".
    makes_image: whether it makes a picture, or features alone, for a finer generator.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        downsamplings: int,
        blocks: int,
        norm: Norm,
        appearance: int = 0,
        makes_image: bool = True,
    ) -> None:
        super().__init__()
        widths = [min(width * 2**level, MAX_CHANNELS) for level in range(downsamplings + 1)]
        self.takes_appearance = bool(appearance)
        first = stem(channels + appearance, width, norm)
        for level in range(downsamplings):
            first += down(widths[level], widths[level + 1], norm)
        self.encoder = nn.Sequential(*first)
        self.trunk = nn.Sequential(*residual_blocks(blocks, widths[-1] + appearance, norm))
        last = up(widths[-1] + 2 * appearance, widths[-2], norm) if downsamplings else []
        for level in reversed(range(downsamplings - 1)):
            last += up(widths[level + 1], widths[level], norm)
        self.decoder = nn.Sequential(*last)
        self.head = nn.Sequential(*head(width + appearance, 3), nn.Tanh()) if makes_image else None
        self.downsamplings = downsamplings
        initialise(self)

    def forward(self, given: Tensor, appearance: Tensor | None = None) -> Tensor:
        """The map (N, C, H, W), and an appearance (N, D, H, W) where it takes one, to a picture (N, 3, H, W)."""
        assert self.head is not None, "this generator makes features alone"
        features, fine = self._features(given, appearance)
        return self.head(_beside(features, fine))  # type: ignore[no-any-return]

    def features(self, given: Tensor, appearance: Tensor | None = None) -> Tensor:
        """What the picture is made from, (N, width, H, W): where a finer generator starts."""
        return self._features(given, appearance)[0]

    def _features(self, given: Tensor, appearance: Tensor | None) -> tuple[Tensor, Tensor | None]:
        fine = coarse = None
        if self.takes_appearance:
            assert appearance is not None, "this generator takes an appearance"
            levels = pyramid(appearance, self.downsamplings + 1)
            coarse, fine = levels[0], levels[-1]
        code = self.encoder(_beside(given, fine))
        code = self.trunk(_beside(code, coarse))
        return self.decoder(_beside(code, coarse)), fine


class LocalEnhancer(nn.Module):
    """G2: a second generator around the first, at twice its resolution and half its channels.

    blocks, local_blocks: residual blocks of the first and of this one. coarse_makes_image: whether the first one can
    also paint by itself, which it must to be trained before the second.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        downsamplings: int,
        blocks: int,
        norm: Norm,
        appearance: int = 0,
        local_blocks: int = 3,
        coarse_makes_image: bool = False,
    ) -> None:
        super().__init__()
        self.coarse = GlobalGenerator(channels, 2 * width, downsamplings, blocks, norm, appearance, coarse_makes_image)
        self.encoder = nn.Sequential(
            *stem(channels + appearance, width, norm),
            *down(width, 2 * width, norm),
        )
        self.decoder = nn.Sequential(
            *residual_blocks(local_blocks, 2 * width, norm),
            *up(2 * width, width, norm),
        )
        self.head = nn.Sequential(*head(width, 3), nn.Tanh())
        for part in (self.encoder, self.decoder, self.head):
            initialise(part)

    def forward(self, given: Tensor, appearance: Tensor | None = None, freeze_coarse: bool = False) -> Tensor:
        """The map (N, C, H, W) to a picture (N, 3, H, W). freeze_coarse: no gradient goes to the coarse generator."""
        appearances = None if appearance is None else pyramid(appearance, 2)
        coarse = self.coarse.features(pyramid(given, 2)[0], None if appearances is None else appearances[0])
        if freeze_coarse:
            coarse = coarse.detach()
        features = self.encoder(_beside(given, appearance)) + coarse
        return self.head(self.decoder(features))  # type: ignore[no-any-return]


def _beside(x: Tensor, more: Tensor | None) -> Tensor:
    return x if more is None else torch.cat([x, more], 1)
