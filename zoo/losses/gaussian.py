"""The terms of a variational bound, in nats: the divergence of two diagonal Gaussians, the likelihood of an image.

Shapes: D size of a code; N images of C x H x W; ``...`` any leading axes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.blocks.gaussian import Gaussian
from zoo.devices.collectives import mean_over_ranks
from zoo.errors import one_of

LIKELIHOODS = ("laplace", "gaussian")


def kl_divergence(posterior: Gaussian, prior: Gaussian) -> Tensor:
    """KL(q || p) of each dimension, (..., D): ½ (log σp² − log σq² + (σq² + (μq − μp)²) / σp² − 1)."""
    log_ratio = posterior.log_variance - prior.log_variance
    distance = (posterior.mean - prior.mean).square() * torch.exp(-prior.log_variance)
    return 0.5 * (torch.exp(log_ratio) + distance - 1 - log_ratio)


def negative_log_likelihood(images: Tensor, means: Tensor, likelihood: str, scale: float) -> Tensor:
    """−log p(x | z) of whole images, (N, C, H, W) -> (N,), with independent pixels and the same scale for all.

    laplace: |x − μ| / b + log 2b. gaussian: (x − μ)² / 2σ² + ½ log 2πσ². ``scale`` is b or σ, in the units of the
    values, of which there are 2 from black to white.
    """
    one_of("model.likelihood", likelihood, LIKELIHOODS)
    if likelihood == "laplace":
        terms = (images - means).abs() / scale + math.log(2 * scale)
    else:
        terms = (images - means).square() / (2 * scale**2) + 0.5 * math.log(2 * math.pi * scale**2)
    return terms.flatten(1).sum(1)


def free_bits(divergence: Tensor, nats: float) -> Tensor:
    """The divergence that is paid for, (B, T, D) -> (): what each dimension costs on average, ``nats`` at least.

    A dimension is then free to carry that much (Kingma et al., arXiv 1606.04934, appendix C.8). Summed over dimensions,
    averaged over clips and frames; over those of all ranks.
    """
    return mean_over_ranks(divergence.flatten(0, -2).mean(0)).clamp(min=nats).sum()
