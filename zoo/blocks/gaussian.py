"""Diagonal Gaussians, and a small network that predicts their parameters.

Shapes: D size of the code; ``...`` any leading axes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Gaussian(NamedTuple):
    """N(mean, diag(exp(log_variance))), each (..., D)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """Reparameterised sample ``mean + temperature · σ · noise``, (..., D); noise: (..., D) from N(0, 1)."""
        return self.mean + temperature * torch.exp(0.5 * self.log_variance) * noise

    @property
    def parameters(self) -> Tensor:
        """Mean and log-variance concatenated, (..., 2D): the input of the next GaussianHead."""
        return torch.cat([self.mean, self.log_variance], -1)

    def at(self, t: int) -> Gaussian:
        """The Gaussian of frame t, given parameters (B, T, D)."""
        return Gaussian(self.mean[:, t], self.log_variance[:, t])


class GaussianHead(nn.Module):
    """One hidden layer, then mean and log-variance. bounds: the log-variance is clamped to them, for stability."""

    def __init__(self, channels_in: int, hidden: int, code: int, bounds: tuple[float, float]) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels_in, hidden)
        self.out = nn.Linear(hidden, 2 * code)
        self.bounds = bounds

    def forward(self, x: Tensor, base: Gaussian | None = None) -> Gaussian:
        """(..., C) -> a Gaussian of (..., D). base: the output is added to its parameters."""
        mean, log_variance = self.out(torch.relu(self.hidden(x))).chunk(2, -1)
        if base is not None:
            mean, log_variance = base.mean + mean, base.log_variance + log_variance
        return Gaussian(mean, log_variance.clamp(*self.bounds))
