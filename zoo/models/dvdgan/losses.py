"""Losses of DVD-GAN: hinge, for each of the two discriminators, and BigGAN's penalty on not orthogonal weights.

Shapes: N clips, k scores of a clip.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

HINGES = ("sum", "per_frame")
"""What the hinge is applied to: the sum of a clip's scores, or every score by itself."""


def clip_scores(scores: Tensor, hinge: str) -> Tensor:
    """(N, k) -> what the hinge is applied to: the sum of each clip, (N,), or the scores themselves."""
    return scores.sum(1) if hinge == "sum" else scores


def discriminator_hinge(real: Tensor, generated: Tensor, hinge: str = "sum") -> Tensor:
    """mean ReLU(1 - D(x)) + mean ReLU(1 + D(G)); scores (N, k)."""
    return (1 - clip_scores(real, hinge)).relu().mean() + (1 + clip_scores(generated, hinge)).relu().mean()


def generator_hinge(generated: Tensor, hinge: str = "sum") -> Tensor:
    """-mean D(G); scores (N, k)."""
    return -clip_scores(generated, hinge).mean()


def gram(weight: Tensor) -> Tensor:
    """Inner products of the rows of (out, -1): (out, out)."""
    matrix = weight.flatten(1)
    return matrix @ matrix.T


def orthogonal_penalty(weights: Iterable[Tensor]) -> Tensor:
    """Σ ‖W Wᵀ ⊙ (1 - I)‖²: squared inner products of different rows (Brock et al. 2019, eq. 3, without its factor)."""
    return torch.stack([_off_diagonal(gram(weight)).square().sum() for weight in weights]).sum()


def _off_diagonal(matrix: Tensor) -> Tensor:
    return matrix - torch.diag(matrix.diagonal())
