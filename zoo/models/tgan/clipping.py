"""Clipping of a discriminator's weights, so that it is Lipschitz: of singular values (sec. 3.3), or of every entry."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

LARGEST, SMALLEST_SCALE = 1.0, 0.01


@torch.no_grad()
def clip_singular_values(weight: Tensor, largest: float = LARGEST) -> None:
    """Set the singular values above ``largest`` to it, in place: those of the weight as a matrix (out, …).

    With W = U S Vᵀ, the clipped U min(S, c) Vᵀ is U min(1, c / S) Uᵀ W. U holds the eigenvectors of W Wᵀ; a matrix with
    more rows than columns is transposed first. In double precision where the device has it.
    """
    matrix = weight.flatten(1)
    wide = matrix.shape[0] <= matrix.shape[1]
    values = (matrix if wide else matrix.mT).to(torch.float32 if weight.device.type == "mps" else torch.float64)
    squares, vectors = torch.linalg.eigh(values @ values.mT)
    factors = (largest / squares.clamp(min=largest**2).sqrt()).clamp(max=1)
    clipped = vectors @ (factors[:, None] * (vectors.mT @ values))
    weight.copy_((clipped if wide else clipped.mT).view(weight.shape))


@torch.no_grad()
def clip_scales(norm: _BatchNorm, least: float = SMALLEST_SCALE, largest: float = LARGEST) -> None:
    """Clip the scales γ of a batch norm to between ``least`` and ``largest`` times the running standard deviation.

    So normalising, x γ / σ, multiplies by at most ``largest``.
    """
    assert norm.running_var is not None
    deviation = norm.running_var.sqrt()
    norm.weight.copy_(norm.weight.minimum(largest * deviation).maximum(least * deviation))


def clip_network(network: nn.Module) -> None:
    """Clip the singular values of all convolutions, and the scales of all batch norms."""
    for layer in network.modules():
        if isinstance(layer, _ConvNd):
            clip_singular_values(layer.weight)
        elif isinstance(layer, _BatchNorm):
            clip_scales(layer)


@torch.no_grad()
def clip_weights(network: nn.Module, limit: float) -> None:
    """Clip every parameter, also biases and scales, to ±limit (Arjovsky et al. 2017, algorithm 1)."""
    for parameter in network.parameters():
        parameter.clamp_(-limit, limit)
