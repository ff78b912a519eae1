"""A stack of LSTM layers over a linear embedding, for whole sequences and for single steps.

Shapes: B clips, T frames, F input features, H units of a layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

State = list[tuple[Tensor, Tensor]]
"""Hidden state and cell of every layer, each (B, H)."""


class LSTMStack(nn.Module):
    """(B, T, F) -> (B, T, H): a linear embedding without activation, then layers of LSTM cells."""

    def __init__(self, features: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Linear(features, hidden)
        self.cells = nn.ModuleList(nn.LSTMCell(hidden, hidden) for _ in range(layers))

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Output of the last layer at every step, and the state after the last one. state: None is zero."""
        outputs = self.embed(x)
        after: State = []
        for number, cell in enumerate(self.cells):
            zeros = outputs.new_zeros(len(outputs), cell.hidden_size)
            hidden, memory = state[number] if state is not None else (zeros, zeros)
            steps = []
            for step in outputs.unbind(1):
                hidden, memory = cell(step, (hidden, memory))
                steps.append(hidden)
            outputs = torch.stack(steps, 1)
            after.append((hidden, memory))
        return outputs, after
