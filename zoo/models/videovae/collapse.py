"""Notices when the code has ceased to say anything: posterior collapse.

A dimension of the code is active while its posterior departs from the prior by more than ACTIVE nats a frame, on average
(after Burda et al., arXiv 1509.00519, who count active units by the variance of their means).

Shapes: B clips, T frames, D code.
"""

from __future__ import annotations

import warnings

from torch import Tensor

ACTIVE = 0.01
LEAST = 0.1
"""Nats a frame, of all dimensions together, below which nothing can be told apart by the code."""


class CollapseMonitor:
    """The mean divergence of each dimension since the last report."""

    def __init__(self) -> None:
        self.total: Tensor | None = None
        self.steps = 0

    def update(self, divergence: Tensor) -> None:
        """KL of a step, (B, T, D)."""
        mean = divergence.flatten(0, 1).mean(0)
        self.total = mean if self.total is None else self.total + mean
        self.steps += 1

    @property
    def active(self) -> Tensor:
        """Number of active dimensions."""
        assert self.total is not None
        return (self.total / self.steps > ACTIVE).sum().float()

    def report(self) -> None:
        """Warn if the code has collapsed, and begin anew."""
        if self.total is None:
            return
        nats, active, size = float(self.total.sum() / self.steps), int(self.active), len(self.total)
        self.total, self.steps = None, 0
        if nats < LEAST or active == 0:
            warnings.warn(
                f"The code has collapsed: posterior and prior differ by {nats:.3f} nats a frame, and {active} of "
                f"{size} dimensions are in use, so all frames of an attribute come out alike. Try a smaller model.scale "
                "or model.beta, a longer model.beta_warmup, or model.free_bits=0.05",
                stacklevel=2,
            )
