"""Batch norm over the batches of all ranks. PyTorch's own is for GPUs alone, and would replace the zoo's in evaluation.

Shapes: N samples, C channels, any further axes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.devices.collectives import mean_over_ranks, ranks


class SyncedBatchNorm(_BatchNorm):
    """A batch norm that in training normalises by the statistics of the whole batch, whichever rank has its parts."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, ...); every rank has as many samples."""
        if not self.training or ranks() == 1:
            return super().forward(x)
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        axes, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
        values = x if x.dtype == torch.float64 else x.float()
        mean = mean_over_ranks(values.mean(axes))
        centred = values - mean.view(shape)
        variance = mean_over_ranks(centred.square().mean(axes))
        self._remember(mean.detach(), variance.detach(), x.numel() // x.shape[1] * ranks())
        normed = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normed = normed * self.weight.view(shape) + self.bias.view(shape)
        return normed.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics; the variance is that of a sample of so many values."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), share)
        self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var), share)


def sync_batch_norm(module: nn.Module) -> None:
    """Make every batch norm of a module a synced one, in place: its parameters, buffers and their names stay."""
    for layer in module.modules():
        kind: Any = type(layer)
        if isinstance(layer, _BatchNorm) and not isinstance(layer, SyncedBatchNorm):
            layer.__class__ = type(f"Synced{kind.__name__}", (SyncedBatchNorm, kind), {})
