"""Noise on the features of a discriminator in training (Sønderby et al. 2017, arXiv 1610.04490)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class InstanceNoise(nn.Module):
    """Adds noise from N(0, sigma²) in training."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor) -> Tensor:
        """The input plus noise, any shape."""
        if not self.training or not self.sigma:
            return x
        noise = torch.randn(
            x.shape, dtype=x.dtype, device=x.device
        )  # unlike randn_like, for any memory format the same
        return x + self.sigma * noise
