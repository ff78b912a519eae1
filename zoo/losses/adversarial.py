"""Adversarial objectives, each for scores at several scales.

Scores are raw outputs of a discriminator, one tensor of any shape a scale: summed over scales, mean over
patches. No factor is applied: where the discriminator's loss is the mean of its two halves, as in vid2vid,
the caller halves it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import one_of

Scores = Sequence[Tensor]


@dataclass(frozen=True)
class Objective:
    """Per-patch losses of a score: of the discriminator on real and fake, of the generator on fake."""

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


OBJECTIVES = {
    # Least squares with targets 1 and 0: Mao et al., LSGAN, ICCV 2017, eq. 9 without its 1/2.
    "ls": Objective(
        real=lambda s: (s - 1).square(),
        fake=lambda s: s.square(),
        generator=lambda s: (s - 1).square(),
    ),
    # Hinge: Lim and Ye, Geometric GAN, 2017, sec. 3; Miyato et al., ICLR 2018, eq. 16 and 17.
    "hinge": Objective(
        real=lambda s: F.relu(1 - s),
        fake=lambda s: F.relu(1 + s),
        generator=lambda s: -s,
    ),
    # Cross-entropy with the non-saturating generator: Goodfellow et al., NeurIPS 2014, eq. 1 and sec. 3.
    "original": Objective(
        real=lambda s: F.softplus(-s),
        fake=F.softplus,
        generator=lambda s: F.softplus(-s),
    ),
}


def discriminator_loss(real_scores: Scores, fake_scores: Scores, objective: str) -> Tensor:
    """Loss of the discriminator on real plus on fake; a scalar. objective: ls, hinge or original."""
    loss = _find(objective)
    return _sum_over_scales(real_scores, loss.real) + _sum_over_scales(fake_scores, loss.fake)


def generator_loss(fake_scores: Scores, objective: str) -> Tensor:
    """Loss of the generator whose samples got these scores; a scalar. objective: ls, hinge or original."""
    return _sum_over_scales(fake_scores, _find(objective).generator)


def _find(objective: str) -> Objective:
    one_of("model.objective", objective, OBJECTIVES)
    return OBJECTIVES[objective]


def _sum_over_scales(scores: Scores, loss: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([loss(score.float()).mean() for score in scores]).sum()
