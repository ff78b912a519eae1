"""Terms of the variational bound, in nats: KL divergence of diagonal Gaussians, likelihood of images, free bits.

Shapes: B clips, T frames, D size of a code; N images of C x H x W; ``...`` any leading axes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.blocks.gaussian import Gaussian
from zoo.devices.collectives import mean_over_ranks
from zoo.errors import check_choice

LIKELIHOODS = ("laplace", "gaussian")


def kl_divergence(posterior: Gaussian, prior: Gaussian) -> Tensor:
    """KL(q || p) of each dimension in nats, (..., D): ½ (log σp² − log σq² + (σq² + (μq − μp)²) / σp² − 1)."""
    log_ratio = posterior.log_variance - prior.log_variance
    distance = (posterior.mean - prior.mean).square() * torch.exp(-prior.log_variance)
    return 0.5 * (torch.exp(log_ratio) + distance - 1 - log_ratio)


def negative_log_likelihood(images: Tensor, means: Tensor, likelihood: str, scale: float) -> Tensor:
    """−log p(x | z) of whole images in nats, (N, C, H, W) -> (N,), for independent pixels of equal scale.

    likelihood: laplace, |x − μ| / b + log 2b, or gaussian, (x − μ)² / 2σ² + ½ log 2πσ². scale: b or σ, where black is
    -1 and white is 1. Raises ZooError for another likelihood.
    """
    check_choice("model.likelihood", likelihood, LIKELIHOODS)
    if likelihood == "laplace":
        terms = (images - means).abs() / scale + math.log(2 * scale)
    else:
        terms = (images - means).square() / (2 * scale**2) + 0.5 * math.log(2 * math.pi * scale**2)
    return terms.flatten(1).sum(1)


def free_bits(divergence: Tensor, nats: float) -> Tensor:
    """KL loss with free bits: (B, T, D) -> scalar, in nats per frame.

    The divergence of each dimension is averaged over the clips and frames of all ranks, clamped to at least ``nats``,
    and summed over the dimensions. Below ``nats``, a dimension has no cost (Kingma et al., arXiv 1606.04934, app. C.8).
    """
    return mean_over_ranks(divergence.flatten(0, -2).mean(0)).clamp(min=nats).sum()
