"""Batch norm of clips whose statistics belong to a time step, as if the frames were processed one after another.

A recurrent model that normalises each frame of a batch by its own statistics would need one pass of its convolutions
per frame. Here the convolutions see all frames at once, and the norm treats time as part of the channels.

Shapes: B clips, T frames, C channels, H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STATISTICS = ("running", "batch")


@dataclass(frozen=True)
class NormPlan:
    """How batch norm is computed. over_time: in training, over all frames of the batch; else for each time step.

    statistics: those used in evaluation, running averages over the training or those of the batch.
    """

    over_time: bool = False
    statistics: str = "running"


def normalise_steps(norm: nn.BatchNorm2d, x: Tensor, plan: NormPlan) -> Tensor:
    """Apply batch norm to clips, (B, T, C, H, W) -> (B, T, C, H, W).

    In training, the running statistics move once, towards the mean of the statistics of all time steps. A single value
    per channel has no statistics, so a batch of one clip uses the running ones: for its codes in training mode, and for
    all layers in evaluation.
    """
    batch, steps, _, height, width = x.shape
    over_time = norm.training and plan.over_time
    if norm.training and batch * height * width * (steps if over_time else 1) == 1:
        flat = F.batch_norm(x.flatten(0, 1), norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        return flat.reshape(batch, steps, *flat.shape[1:])
    uses_batch = norm.training or (plan.statistics == "batch" and batch > 1)
    if not uses_batch or over_time or (norm.training and steps == 1):
        flat = norm(x.flatten(0, 1))
        return flat.reshape(batch, steps, *flat.shape[1:])
    if norm.training and type(norm) is not nn.BatchNorm2d:  # synced over ranks
        return _normalise_one_by_one(norm, x)
    return _normalise_folded(norm, x)


def _normalise_folded(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Normalise every time step by the statistics of its batch, with time folded into the channels."""
    batch, steps, channels, height, width = x.shape
    means = variances = None
    if norm.training and norm.running_mean is not None and norm.running_var is not None:
        means, variances = norm.running_mean.repeat(steps), norm.running_var.repeat(steps)
    folded = F.batch_norm(
        x.reshape(batch, steps * channels, height, width),
        means,
        variances,
        norm.weight.repeat(steps),
        norm.bias.repeat(steps),
        training=True,
        momentum=norm.momentum or 0.0,
        eps=norm.eps,
    )
    if means is not None and variances is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.num_batches_tracked is not None
        with torch.no_grad():
            norm.running_mean.copy_(means.view(steps, channels).mean(0))
            norm.running_var.copy_(variances.view(steps, channels).mean(0))
            norm.num_batches_tracked.add_(1)
    return folded.view(batch, steps, channels, height, width)


def _normalise_one_by_one(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """The same by one call of the layer per time step, for layers that compute statistics in their own way."""
    running = [norm.running_mean, norm.running_var]
    before = [each.clone() for each in running if each is not None]
    frames, after = [], []
    for frame in x.unbind(1):
        for buffer, value in zip(running, before, strict=True):
            assert buffer is not None
            buffer.copy_(value)
        frames.append(norm(frame))
        after.append(torch.stack([each for each in running if each is not None]))
    for buffer, value in zip(running, torch.stack(after).mean(0), strict=True):
        assert buffer is not None
        buffer.copy_(value)
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.sub_(x.shape[1] - 1)
    return torch.stack(frames, 1)
