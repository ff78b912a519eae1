"""Detects posterior collapse: codes that carry no information.

A dimension of the code is active if the KL divergence of posterior and prior exceeds ACTIVE_NATS per frame on average.
Burda et al. (arXiv 1509.00519) count active units by the variance of their means instead.

Shapes: B clips, T frames, D size of the code.
"""

from __future__ import annotations

import warnings

from torch import Tensor

from zoo.devices.collectives import mean_over_ranks

ACTIVE_NATS = 0.01
COLLAPSED_NATS = 0.1
"""Nats per frame, summed over dimensions, below which the code counts as collapsed."""
DECAY = 0.9
"""Decay of the moving average per step: a memory of a few dozen steps, shorter than the warm-up of beta."""


class CollapseMonitor:
    """Moving average of the KL divergence of each dimension.

    It does not influence the model, but checkpoints contain it, so that a resumed training logs the same values.
    """

    def __init__(self) -> None:
        self.mean: Tensor | None = None

    def update(self, divergence: Tensor) -> None:
        """Update with the KL divergence of a step, (B, T, D); it is averaged over all ranks."""
        current = mean_over_ranks(divergence.flatten(0, 1).mean(0))
        self.mean = current if self.mean is None else self.mean.to(current.device).lerp(current, 1 - DECAY)

    @property
    def active(self) -> Tensor:
        """Number of active dimensions; a float scalar."""
        assert self.mean is not None
        return (self.mean > ACTIVE_NATS).sum().float()

    def report(self) -> None:
        """Warn if the code has collapsed."""
        if self.mean is None:
            return
        nats, active = float(self.mean.sum()), int(self.active)
        if nats < COLLAPSED_NATS or active == 0:
            warnings.warn(
                f"The code has collapsed: posterior and prior differ by {nats:.3f} nats per frame, and {active} of "
                f"{len(self.mean)} dimensions are active, so frames with the same attributes look alike. Try a smaller "
                "model.scale or model.beta, a longer model.beta_warmup, or model.free_bits=0.05",
                stacklevel=2,
            )
