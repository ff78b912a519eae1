"""Convolutional GRU (Ballas et al., ICLR 2016, arXiv 1511.06432), in the form of DVD-GAN.

Shapes: B clips, T frames, C channels of the input, K channels of the state, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvGRU(nn.Module):
    """r, u = σ(W ⋆ [h; x]), c = ρ(W_c ⋆ [x; r ⊙ h]), h ← u ⊙ h + (1 - u) ⊙ c, with 3 x 3 kernels.

    activation: ρ. normalise: wraps every convolution, such as in spectral norm; weights are read once a clip.
    """

    KERNEL = 3

    def __init__(
        self,
        channels: int,
        state: int,
        activation: Callable[[Tensor], Tensor] = F.relu,
        normalise: Callable[[nn.Conv2d], nn.Conv2d] = lambda layer: layer,
    ) -> None:
        super().__init__()
        self.channels, self.state, self.activation = channels, state, activation
        both = channels + state
        self.reset, self.update, self.candidate = (
            normalise(nn.Conv2d(both, state, self.KERNEL, padding=self.KERNEL // 2)) for _ in range(3)
        )

    def forward(self, x: Tensor, state: Tensor | None = None, frames: int | None = None) -> Tensor:
        """States of all frames, (B, T, K, H, W).

        x: (B, T, C, H, W), or (B, C, H, W) for the same input in each of ``frames`` frames. state: before the first
        frame, (B, K, H, W); None: zeros.
        """
        repeated = x.ndim == 4
        steps = x[:, None] if repeated else x
        batch, length = steps.shape[:2]
        gates = torch.cat([self.reset.weight, self.update.weight])
        on_state, on_input = torch.split(gates, [self.state, self.channels], 1)
        candidate_on_input, candidate_on_state = torch.split(self.candidate.weight, [self.channels, self.state], 1)
        # The convolutions of the input do not depend on the state, so they see all frames at once.
        weight = torch.cat([on_input, candidate_on_input])
        bias = torch.cat([layer.bias for layer in (self.reset, self.update, self.candidate) if layer.bias is not None])
        of_input = _convolve(steps.flatten(0, 1), weight, bias)
        of_input = of_input.view(batch, length, *of_input.shape[1:])
        hidden = steps.new_zeros(batch, self.state, *steps.shape[-2:]) if state is None else state
        states = []
        for t in range((frames or 1) if repeated else length):
            of_gates, of_candidate = torch.split(of_input[:, 0 if repeated else t], [2 * self.state, self.state], 1)
            reset, update = (of_gates + _convolve(hidden, on_state)).sigmoid().chunk(2, 1)
            candidate = self.activation(of_candidate + _convolve(reset * hidden, candidate_on_state))
            hidden = update * hidden + (1 - update) * candidate
            states.append(hidden)
        return torch.stack(states, 1)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
