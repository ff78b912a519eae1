"""Generators of single images from label maps or drawings.

Source: Wang et al., pix2pixHD, CVPR 2018, arXiv 1711.11585, sec. 3.1 and 3.3.

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

    channels: of the map. appearance: D, channels of the appearance that every part gets as input, as in the release's
    generator "with features"; 0: none. makes_image: build the head that outputs an image; without it the
    generator only outputs features for a finer one.
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
        """Map (N, C, H, W), and appearance (N, D, H, W) if the model has one, -> image (N, 3, H, W) in [-1, 1]."""
        assert self.head is not None, "this generator was built with makes_image=False"
        features, fine = self._decode(given, appearance)
        return self.head(_concat(features, fine))

    def features(self, given: Tensor, appearance: Tensor | None = None) -> Tensor:
        """The input of the head, (N, width, H, W), which a finer generator starts from."""
        return self._decode(given, appearance)[0]

    def _decode(self, given: Tensor, appearance: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The features (N, width, H, W), and the appearance at full resolution."""
        fine = coarse = None
        if self.takes_appearance:
            assert appearance is not None, "this generator needs an appearance"
            levels = pyramid(appearance, self.downsamplings + 1)
            coarse, fine = levels[0], levels[-1]
        code = self.encoder(_concat(given, fine))
        code = self.trunk(_concat(code, coarse))
        return self.decoder(_concat(code, coarse)), fine


class LocalEnhancer(nn.Module):
    """G2: a local enhancer around a global generator, at twice its resolution and half its channels.

    blocks: residual blocks of the global generator. local_blocks: of the enhancer. coarse_makes_image: give the global
    generator a head of its own, so that it can be trained before the enhancer joins.
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
        """Map (N, C, H, W), and appearance (N, D, H, W) if the model has one, -> image (N, 3, H, W) in [-1, 1].

        freeze_coarse: detach the features of the global generator, so that only the enhancer is trained.
        """
        appearances = None if appearance is None else pyramid(appearance, 2)
        coarse = self.coarse.features(pyramid(given, 2)[0], None if appearances is None else appearances[0])
        if freeze_coarse:
            coarse = coarse.detach()
        features = self.encoder(_concat(given, appearance)) + coarse
        return self.head(self.decoder(features))


def _concat(x: Tensor, appearance: Tensor | None) -> Tensor:
    """Append the appearance as channels, if there is one."""
    return x if appearance is None else torch.cat([x, appearance], 1)
