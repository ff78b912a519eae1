"""Spectral norm (Miyato et al., ICLR 2018, arXiv 1802.05957): weights are divided by their largest singular value."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

LayerT = TypeVar("LayerT", bound=nn.Module)
EPS = 1e-12


class SpectralNorm(nn.Module):
    """Parametrization of a weight, (out, ...): divides it by an estimate of the largest singular value of (out, -1).

    In training, every access to the weight improves the estimate by ``iterations`` power iterations (algorithm 1), so
    a layer that is used at every step of a recurrence must read its weight once. In evaluation the estimate stands.
    """

    def __init__(self, outputs: int, iterations: int = 1) -> None:
        super().__init__()
        self.iterations = iterations
        self.u: Tensor
        self.register_buffer("u", F.normalize(torch.randn(outputs), dim=0, eps=EPS))

    def forward(self, weight: Tensor) -> Tensor:
        """The normalised weight."""
        matrix = weight.flatten(1)
        u, v = self._singular_vectors(matrix.detach())
        return weight / (u * product(matrix, v)).sum()

    @torch.no_grad()
    def _singular_vectors(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Estimates of the singular vectors of the largest singular value: (out,) and the other side."""
        u = self.u.clone()
        v = F.normalize(product(matrix.T, u), dim=0, eps=EPS)
        if self.training:
            for iteration in range(self.iterations):
                v = v if iteration == 0 else F.normalize(product(matrix.T, u), dim=0, eps=EPS)
                u = F.normalize(product(matrix, v), dim=0, eps=EPS)
            self.u.copy_(u)
        return u, v


def product(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrix times vector, as a sum: under autocast, a matrix product would be rounded to 16 bits."""
    return (matrix * vector).sum(1)


def spectral_norm(layer: LayerT, iterations: int = 1) -> LayerT:
    """Normalise the weight of a layer: a convolution, a linear map or an embedding. Returns the layer."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    parametrize.register_parametrization(layer, "weight", SpectralNorm(len(weight), iterations))
    return layer
