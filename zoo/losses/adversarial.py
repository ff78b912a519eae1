"""Adversarial objectives for discriminators at several scales.

Scores are the raw outputs of a discriminator, one tensor of any shape per scale. Losses are averaged over patches and
summed over scales. The discriminator's loss is real plus fake, without a factor; callers that want their mean, as in
vid2vid, halve it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import check_choice

Scores = Sequence[Tensor]


@dataclass(frozen=True)
class Objective:
    """Losses per patch: ``real`` and ``fake`` of the discriminator, ``generator`` of the generator on fakes."""

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
    """Loss of the discriminator, real plus fake; a scalar.

    objective: ls, hinge or original. Raises ZooError for another one.
    """
    loss = _find_objective(objective)
    return _sum_over_scales(real_scores, loss.real) + _sum_over_scales(fake_scores, loss.fake)


def generator_loss(fake_scores: Scores, objective: str) -> Tensor:
    """Loss of the generator, given the scores of its samples; a scalar.

    objective: ls, hinge or original. Raises ZooError for another one.
    """
    return _sum_over_scales(fake_scores, _find_objective(objective).generator)


def _find_objective(objective: str) -> Objective:
    check_choice("model.objective", objective, OBJECTIVES)
    return OBJECTIVES[objective]


def _sum_over_scales(scores: Scores, loss: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([loss(score.float()).mean() for score in scores]).sum()
