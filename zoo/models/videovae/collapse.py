"""Notices when the code has ceased to say anything: posterior collapse.

A dimension of the code is active while its posterior departs from the prior by more than ACTIVE nats a frame on
average (after Burda et al., arXiv 1509.00519, who count active units by the variance of their means).

Shapes: B clips, T frames, D code.
"""

from __future__ import annotations

import warnings

from torch import Tensor

from zoo.devices.collectives import mean_over_ranks

ACTIVE = 0.01
LEAST = 0.1
"""Nats a frame, of all dimensions together, below which nothing can be told apart by the code."""
MEMORY = 0.9
"""What a step leaves of the mean before it: the last few dozen count, and not the warm-up of beta."""


class CollapseMonitor:
    """A moving mean of each dimension's divergence: a watch and no part of the model, but kept in its checkpoints, so
    that a training that goes on logs what it would have."""

    def __init__(self) -> None:
        self.mean: Tensor | None = None

    def update(self, divergence: Tensor) -> None:
        """KL of a step, (B, T, D), of this rank; what is remembered is that of all."""
        now = mean_over_ranks(divergence.flatten(0, 1).mean(0))
        self.mean = now if self.mean is None else self.mean.to(now.device).lerp(now, 1 - MEMORY)

    @property
    def active(self) -> Tensor:
        """Number of active dimensions, ()."""
        assert self.mean is not None
        return (self.mean > ACTIVE).sum().float()

    def report(self) -> None:
        """Warn if the code has collapsed."""
        if self.mean is None:
            return
        nats, active = float(self.mean.sum()), int(self.active)
        if nats < LEAST or active == 0:
            warnings.warn(
                f"The code has collapsed: posterior and prior differ by {nats:.3f} nats a frame, and {active} of "
                f"{len(self.mean)} dimensions are in use, so all frames of an attribute come out alike. Try a smaller "
                "model.scale or model.beta, a longer model.beta_warmup, or model.free_bits=0.05",
                stacklevel=2,
            )
