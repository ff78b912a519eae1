"""The objective of single pictures, L_I: discriminators at several scales, a discriminator of a region, likeness to the
real picture.

Shapes: N pictures, C channels of a map, H x W pixels.
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

REGION_SHARE = 4  # the square around a region has a quarter of the picture's shorter side, as released for faces


@dataclass(frozen=True)
class Pictures:
    """What is compared: maps (N, C, H, W), real pictures and each kind of painted ones (N, 3, H, W).

    painted: by name; the first kind is the result. labels: (N, H, W), for models that look at a region.
    """

    given: Tensor
    real: Tensor
    painted: Mapping[str, Tensor]
    labels: Tensor | None = None


class PictureObjective(nn.Module):
    """L_I of vid2vid (eq. 6) and the objective of pix2pixHD (eq. 3 and 5), for the generator and for the
    discriminators.

    region: ids of the classes that have a discriminator of their own.
    """

    def __init__(self, config: ImageTranslationConfig, map_channels: int, norm: Norm, region: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        self.region = tuple(region)
        self.image = self._discriminator(map_channels + 3, config.discriminator_scales, norm)
        self.around: MultiScaleDiscriminator | None = None
        if region:
            self.around = self._discriminator(map_channels + 3, max(1, config.discriminator_scales - 2), norm)
        self.perceptual = find_perceptual(
            config.perceptual if config.perceptual_weight else "none", config.perceptual_file
        )

    def _discriminator(self, channels: int, scales: int, norm: Norm) -> MultiScaleDiscriminator:
        config = self.config
        return MultiScaleDiscriminator(channels, config.discriminator_width, config.discriminator_layers, scales, norm)

    def losses(self, pictures: Pictures) -> GANLosses:
        """For the generator every part, weighted: adversarial, feature matching, likeness; and around the region. For
        each discriminator the mean of its real and its painted half."""
        config = self.config
        fakes = [torch.cat([pictures.given, image], 1) for image in pictures.painted.values()]
        real = torch.cat([pictures.given, pictures.real], 1)
        terms = adversarial_losses(self.image, real, fakes, config.objective)
        generator, discriminator = {}, {"d_image": terms.discriminator}
        for (name, image), (adversarial, features) in zip(pictures.painted.items(), terms.generator, strict=True):
            generator[f"g_{name}"] = adversarial
            generator[f"features_{name}"] = config.feature_weight * features
            generator |= self._likeness(name, image, pictures.real)
        if self.around is not None:
            box = self._box(pictures)
            real, fake = inside([real, fakes[0]], box)
            scales = (
                config.discriminator_scales
            )  # as released: feature matching counts those of the other discriminator
            terms = adversarial_losses(self.around, real, [fake], config.objective, scales)
            ((adversarial, features),) = terms.generator
            generator["g_region"] = config.region_weight * box.there * adversarial
            generator["features_region"] = config.region_weight * config.feature_weight * box.there * features
            discriminator["d_region"] = box.there * terms.discriminator
        return GANLosses(generator, discriminator)

    def _likeness(self, name: str, image: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Distances of a painted picture from the real one, in pixels and in the features of a classifier."""
        losses = {}
        if self.config.pixel_weight:
            losses[f"pixels_{name}"] = self.config.pixel_weight * F.l1_loss(image, real)
        if self.perceptual is not None:
            distance = self.perceptual(image, real)
            losses[f"perceptual_{self.perceptual.name}_{name}"] = self.config.perceptual_weight * distance
        return losses

    def _box(self, pictures: Pictures) -> Box:
        assert pictures.labels is not None, "a region is found by its labels"
        region = torch.stack([pictures.labels == label for label in self.region]).any(0)
        return region_box(region, min(region.shape[-2:]) // REGION_SHARE)


class Box(NamedTuple):
    """A square in pictures, as tensors of their device: a step that looked at them would wait for it.

    rows, columns: (side,) int64. there: () float, 1; 0 where the pictures have no region, and the square means nothing.
    """

    rows: Tensor
    columns: Tensor
    there: Tensor


def region_box(region: Tensor, side: int) -> Box:
    """One square around a region, the same for all pictures of all ranks.

    region: (..., H, W) bool. side: of the square, pixels; it lies inside the picture.
    """
    flat = region.flatten(0, -3) if region.ndim > 2 else region[None]
    rows, columns = (max_over_ranks(line.int()) for line in (flat.any(0).any(1), flat.any(0).any(0)))

    def around(occupied: Tensor) -> Tensor:
        size = len(occupied)
        first, last = occupied.argmax(), size - 1 - occupied.flip(0).argmax()
        start = ((first + last) // 2 - side // 2).clamp(0, size - side)
        return start + torch.arange(side, device=region.device)

    return Box(around(rows), around(columns), rows.max().float())


def inside(pictures: Sequence[Tensor], box: Box) -> list[Tensor]:
    """The part of each picture (..., H, W) that lies in the box."""
    return [picture.index_select(-2, box.rows).index_select(-1, box.columns) for picture in pictures]
