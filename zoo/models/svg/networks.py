"""Recurrent networks of SVG: the Gaussians of z, and the predictor of codes.

Shapes: B clips, T frames, F input features, D dimensions of z, G size of the code of a frame.
"""

from __future__ import annotations

from torch import Tensor, nn

from zoo.blocks.gaussian import Gaussian
from zoo.blocks.recurrent import LSTMStack, State
from zoo.blocks.skip_autoencoder import initialise


class LatentNetwork(nn.Module):
    """(B, T, F) -> a Gaussian of z at every step, (B, T, D): the posterior, or the learned prior."""

    def __init__(self, features: int, hidden: int, layers: int, latent: int) -> None:
        super().__init__()
        self.stack = LSTMStack(features, hidden, layers)
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        initialise(self)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Gaussian, State]:
        """The Gaussians, and the state after the last step."""
        hidden, after = self.stack(x, state)
        return Gaussian(self.mean(hidden), self.log_variance(hidden)), after


class FramePredictor(nn.Module):
    """(B, T, F) -> codes of the next frames, (B, T, G) in (-1, 1)."""

    def __init__(self, features: int, hidden: int, layers: int, code: int) -> None:
        super().__init__()
        self.stack = LSTMStack(features, hidden, layers)
        self.output = nn.Linear(hidden, code)
        initialise(self)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The codes, and the state after the last step."""
        hidden, after = self.stack(x, state)
        return self.output(hidden).tanh(), after
