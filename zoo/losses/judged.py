"""What a multi-scale discriminator says: the generator's side and its own, as pix2pixHD and vid2vid share them.

Shapes: N pictures with the map that they were painted from, C channels in all, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.blocks.patchgan import MultiScaleDiscriminator, scores
from zoo.losses.adversarial import discriminator_loss, generator_loss
from zoo.losses.feature_matching import feature_matching


def generator_terms(
    judge: MultiScaleDiscriminator, real: Tensor, fakes: Sequence[Tensor], objective: str, scales: int | None = None
) -> list[tuple[Tensor, Tensor]]:
    """For each fake (N, C, H, W): its adversarial loss, summed over scales, and its feature matching with ``real``.

    scales: what feature matching divides by; None is how many the judge has.
    """
    with torch.no_grad():
        wanted = judge(real)
    terms = []
    for fake in fakes:
        maps = judge(fake)
        terms.append((generator_loss(scores(maps), objective), feature_matching(maps, wanted, scales)))
    return terms


def judge_loss(judge: MultiScaleDiscriminator, real: Tensor, fakes: Sequence[Tensor], objective: str) -> Tensor:
    """Half of (real + fake), summed over the fakes, each (N, C, H, W); no gradient to the pictures. A scalar."""
    real_scores = scores(judge(real.detach()))
    losses = [discriminator_loss(real_scores, scores(judge(fake.detach())), objective) for fake in fakes]
    return 0.5 * torch.stack(losses).sum()
