"""What a multi-scale discriminator says: the generator's side and its own, as pix2pixHD and vid2vid share them.

Shapes: N pictures with the map that they were painted from, C channels in all, H x W pixels.
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
    """The losses of a step, by name, all from the same weights: of what paints, and of those that discriminator it."""

    generator: dict[str, Tensor]
    discriminator: dict[str, Tensor]


@dataclass(frozen=True)
class AdversarialTerms:
    """What a discriminator says, and what it learns from it.

    terms: for each fake its adversarial loss, summed over scales, and its feature matching with the real picture.
    discriminator: the discriminator's own loss, half of (real + fake), summed over the fakes; it is not for the fakes
    to follow.
    """

    terms: list[tuple[Tensor, Tensor]]
    discriminator: Tensor


def adversarial_terms(
    discriminator: MultiScaleDiscriminator,
    real: Tensor,
    fakes: Sequence[Tensor],
    objective: str,
    scales: int | None = None,
) -> AdversarialTerms:
    """The losses of generator and discriminator on pictures (N, C, H, W), from one pass over all of them.

    scales: what feature matching divides by; None is how many the discriminator has.
    """
    of_real, *of_fakes = discriminator(real, *fakes)
    terms = [(generator_loss(scores(maps), objective), feature_matching(maps, of_real, scales)) for maps in of_fakes]
    losses = [discriminator_loss(scores(of_real), scores(maps), objective) for maps in of_fakes]
    return AdversarialTerms(terms, 0.5 * torch.stack(losses).sum())
