"""L_I, the objective for single images: multi-scale and region discriminators, feature matching, perceptual loss.

Shapes: N images, C channels of a map, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.blocks.convolution import Norm
from zoo.blocks.patchgan import MultiScaleDiscriminator
from zoo.devices.collectives import max_over_ranks
from zoo.losses.gan import GANLosses, adversarial_losses
from zoo.losses.perceptual import find_perceptual
from zoo.models.image_translation.config import ImageTranslationConfig

REGION_DIVISOR = 4  # the square around a region has 1/4 of the image's shorter side, as released for faces


@dataclass(frozen=True)
class ImageBatch:
    """Real and generated images with their maps."""

    maps: Tensor
    """(N, C, H, W)."""

    real: Tensor
    """(N, 3, H, W), in [-1, 1]."""

    generated: Mapping[str, Tensor]
    """Name -> (N, 3, H, W), in [-1, 1]. The first entry is the final image; others are intermediate results."""

    labels: Tensor | None = None
    """(N, H, W) int64, class ids; needed for a region discriminator."""


class ImageObjective(nn.Module):
    """L_I of vid2vid (eq. 6) and the objective of pix2pixHD (eq. 3 and 5), for generator and discriminators.

    map_channels: C. region_classes: ids of the classes that the region discriminator looks at; empty: there is none.
    """

    def __init__(
        self, config: ImageTranslationConfig, map_channels: int, norm: Norm, region_classes: Sequence[int]
    ) -> None:
        super().__init__()
        self.config = config
        self.region_classes = tuple(region_classes)
        self.image_discriminator = self._build_discriminator(map_channels + 3, config.discriminator_scales, norm)
        self.region_discriminator: MultiScaleDiscriminator | None = None
        if region_classes:
            scales = max(1, config.discriminator_scales - 2)
            self.region_discriminator = self._build_discriminator(map_channels + 3, scales, norm)
        self.perceptual = find_perceptual(
            config.perceptual if config.perceptual_weight else "none", config.perceptual_file
        )

    def _build_discriminator(self, channels: int, scales: int, norm: Norm) -> MultiScaleDiscriminator:
        config = self.config
        return MultiScaleDiscriminator(channels, config.discriminator_width, config.discriminator_layers, scales, norm)

    def losses(self, images: ImageBatch) -> GANLosses:
        """Compute all losses, weighted; scalars by name.

        generator: adversarial, feature matching, pixel and perceptual losses of the image; adversarial and feature
        matching losses of the region. discriminator: mean of the real and the fake loss of each discriminator.
        """
        config = self.config
        fakes = [torch.cat([images.maps, image], 1) for image in images.generated.values()]
        real = torch.cat([images.maps, images.real], 1)
        losses = adversarial_losses(self.image_discriminator, real, fakes, config.objective)
        generator, discriminator = {}, {"d_image": losses.discriminator}
        for (name, image), terms in zip(images.generated.items(), losses.generator, strict=True):
            generator[f"g_{name}"] = terms.adversarial
            generator[f"features_{name}"] = config.feature_weight * terms.feature_matching
            generator |= self._reconstruction_losses(name, image, images.real)
        if self.region_discriminator is not None:
            box = self._find_box(images)
            real, fake = crop([real, fakes[0]], box)
            # As released, feature matching divides by the number of scales of the image discriminator.
            scales = config.discriminator_scales
            losses = adversarial_losses(self.region_discriminator, real, [fake], config.objective, scales)
            (terms,) = losses.generator
            generator["g_region"] = config.region_weight * box.present * terms.adversarial
            generator["features_region"] = (
                config.region_weight * config.feature_weight * box.present * terms.feature_matching
            )
            discriminator["d_region"] = box.present * losses.discriminator
        return GANLosses(generator, discriminator)

    def _reconstruction_losses(self, name: str, image: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Distances of a generated image from the real one: of pixels, and of the features of a classifier."""
        losses = {}
        if self.config.pixel_weight:
            losses[f"pixels_{name}"] = self.config.pixel_weight * F.l1_loss(image, real)
        if self.perceptual is not None:
            distance = self.perceptual(image, real)
            losses[f"perceptual_{self.perceptual.name}_{name}"] = self.config.perceptual_weight * distance
        return losses

    def _find_box(self, images: ImageBatch) -> RegionBox:
        assert images.labels is not None, "a region discriminator needs labels"
        region = torch.stack([images.labels == label for label in self.region_classes]).any(0)
        return region_box(region, min(region.shape[-2:]) // REGION_DIVISOR)


class RegionBox(NamedTuple):
    """A square around a region, as tensors on its device: reading them on the CPU would synchronise."""

    rows: Tensor
    """(side,) int64, row indices."""

    columns: Tensor
    """(side,) int64, column indices."""

    present: Tensor
    """() float: 1, or 0 if no image contains the region; the square is then arbitrary."""


def region_box(region: Tensor, side: int) -> RegionBox:
    """Find one square around a region, the same for all images of all ranks.

    region: (..., H, W) bool. side: of the square, in pixels; the square lies inside the image.
    """
    flat = region.flatten(0, -3) if region.ndim > 2 else region[None]
    rows, columns = (max_over_ranks(line.int()) for line in (flat.any(0).any(1), flat.any(0).any(0)))

    def around(occupied: Tensor) -> Tensor:
        size = len(occupied)
        first, last = occupied.argmax(), size - 1 - occupied.flip(0).argmax()
        start = ((first + last) // 2 - side // 2).clamp(0, size - side)
        return start + torch.arange(side, device=region.device)

    return RegionBox(around(rows), around(columns), rows.max().float())


def crop(images: Sequence[Tensor], box: RegionBox) -> list[Tensor]:
    """Crop each of the images, (..., H, W), to a box."""
    return [image.index_select(-2, box.rows).index_select(-1, box.columns) for image in images]
