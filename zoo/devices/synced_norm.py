"""Batch norm over the batches of all ranks.

PyTorch's own SyncBatchNorm runs on GPUs only, and would replace the zoo's layers, which differ in evaluation.

Shapes: N samples, C channels, any further axes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.devices.collectives import mean_over_ranks, ranks


class SyncedBatchNorm(_BatchNorm):
    """Batch norm that in training normalises by the statistics of the batch of all ranks."""

    syncs = True
    """False while every rank computes the same batches."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C, ...). Every rank must have the same number of samples."""
        if not self.training or not self.syncs or ranks() == 1:
            return super().forward(x)
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        axes, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
        values = x if x.dtype == torch.float64 else x.float()
        mean = mean_over_ranks(values.mean(axes))
        centred = values - mean.view(shape)
        variance = mean_over_ranks(centred.square().mean(axes))
        self._update_running_statistics(mean.detach(), variance.detach(), x.numel() // x.shape[1] * ranks())
        normed = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normed = normed * self.weight.view(shape) + self.bias.view(shape)
        return normed.to(x.dtype)

    @torch.no_grad()
    def _update_running_statistics(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics. variance: biased, over ``count`` values a channel."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        weight = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), weight)
        self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var), weight)


def sync_batch_norm(module: nn.Module) -> None:
    """Turn every batch norm of a module into a synced one, in place. Parameters, buffers and their names stay."""
    for layer in module.modules():
        kind: Any = type(layer)
        if isinstance(layer, _BatchNorm) and not isinstance(layer, SyncedBatchNorm):
            layer.__class__ = type(f"Synced{kind.__name__}", (SyncedBatchNorm, kind), {})
