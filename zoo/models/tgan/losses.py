"""Objectives of TGAN: losses per score of real clips, of generated ones, and of the generator. Large is real."""

from __future__ import annotations

from torch import Tensor

from zoo.losses.adversarial import OBJECTIVES as SHARED
from zoo.losses.adversarial import Objective

OBJECTIVES = {
    # Cross-entropy with the non-saturating generator.
    "logistic": SHARED["original"],
    # Arjovsky et al. 2017, arXiv 1701.07875, eq. 2 and 3; the paper's eq. 4.
    "wasserstein": Objective(real=lambda s: -s, fake=lambda s: s, generator=lambda s: -s),
    # Mao et al., LSGAN, ICCV 2017, eq. 8 without its 1/2: targets 1, -1 and 0.
    "least_squares": Objective(
        real=lambda s: (s - 1).square(),
        fake=lambda s: (s + 1).square(),
        generator=lambda s: s.square(),
    ),
}


def discriminator_losses(real: Tensor, generated: Tensor, objective: str) -> tuple[Tensor, Tensor]:
    """Mean loss over real clips and over generated ones; real, generated: scores (N,)."""
    loss = OBJECTIVES[objective]
    return loss.real(real.float()).mean(), loss.fake(generated.float()).mean()


def generator_loss(generated: Tensor, objective: str) -> Tensor:
    """Mean loss of the generator; generated: scores of its clips, (N,)."""
    return OBJECTIVES[objective].generator(generated.float()).mean()
