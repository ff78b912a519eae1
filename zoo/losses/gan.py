"""Losses of generator and multi-scale discriminator, as pix2pixHD and vid2vid share them.

Shapes: N images concatenated with their maps, C channels in total, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.blocks.patchgan import MultiScaleDiscriminator, scores
from zoo.losses.adversarial import discriminator_loss, generator_loss
from zoo.losses.feature_matching import feature_matching


class GANLosses(NamedTuple):
    """Losses of one step by name, for the generator and for the discriminators, all computed with the same weights."""

    generator: dict[str, Tensor]
    discriminator: dict[str, Tensor]


class GeneratorTerms(NamedTuple):
    """Losses of the generator on one batch of fakes; scalars."""

    adversarial: Tensor
    """Adversarial loss, summed over scales."""

    feature_matching: Tensor
    """Feature matching with the real images."""


@dataclass(frozen=True)
class AdversarialLosses:
    """Losses from one discriminator."""

    generator: list[GeneratorTerms]
    """One entry per batch of fakes."""

    discriminator: Tensor
    """(real + fake) / 2, summed over the batches of fakes. Only the discriminator may be trained with it."""


def adversarial_losses(
    discriminator: MultiScaleDiscriminator,
    real: Tensor,
    fakes: Sequence[Tensor],
    objective: str,
    scales: int | None = None,
) -> AdversarialLosses:
    """Compute the losses of generator and discriminator from one pass over all images.

    real, fakes: (N, C, H, W) each. objective: ls, hinge or original. scales: divisor of feature matching; None: the
    number of scales of the discriminator.
    """
    real_maps, *fake_maps = discriminator(real, *fakes)
    generator = [
        GeneratorTerms(generator_loss(scores(maps), objective), feature_matching(maps, real_maps, scales))
        for maps in fake_maps
    ]
    losses = [discriminator_loss(scores(real_maps), scores(maps), objective) for maps in fake_maps]
    return AdversarialLosses(generator, 0.5 * torch.stack(losses).sum())
