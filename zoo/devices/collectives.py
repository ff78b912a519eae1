"""Collective operations over the ranks of a training. With one process each returns its argument, bit for bit.

Every rank must call them, in the same order: a rank that skips one leaves the others waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor

T = TypeVar("T")
BUCKET = 2**23
"""Number of values that are reduced in one message: 32 MiB in single precision."""


def ranks() -> int:
    """Number of processes that share the training."""
    initialized = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if initialized else 1


class _Mean(torch.autograd.Function):
    """Mean over ranks. Its gradient is that of the sum of the losses of all ranks."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _mean(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _mean(gradient)


def _mean(x: Tensor) -> Tensor:
    total = x.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total / ranks()


def mean_over_ranks(x: Tensor) -> Tensor:
    """Mean of a floating-point tensor over all ranks; the shape stays.

    Differentiable: where gradients are averaged over ranks, a loss of this mean has the gradient of the whole batch.
    """
    return x if ranks() == 1 else _Mean.apply(x)


@torch.no_grad()
def sum_over_ranks(count: Tensor) -> Tensor:
    """Sum over ranks, elementwise; any shape and type, no gradient."""
    return _all_reduce(count, distributed.ReduceOp.SUM)


@torch.no_grad()
def max_over_ranks(x: Tensor) -> Tensor:
    """Maximum over ranks, elementwise; no gradient."""
    return _all_reduce(x, distributed.ReduceOp.MAX)


def gather_from_ranks(items: list[T]) -> list[T]:
    """Items of all ranks, in the order of the ranks. They must be picklable, with tensors on the CPU."""
    if ranks() == 1:
        return items
    gathered: list[Any] = [None] * ranks()
    distributed.all_gather_object(gathered, items)
    return [item for items_of_rank in gathered for item in items_of_rank]


def _all_reduce(x: Tensor, operation: Any) -> Tensor:
    if ranks() == 1:
        return x
    x = x.detach().clone()
    distributed.all_reduce(x, operation)
    return x


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the ranks, in a few large messages.

    A missing gradient counts as zero if any other rank has one; if no rank has one, it stays None. Sharded parameters
    are skipped: their gradients are averaged when they are sharded.
    """
    if ranks() == 1:
        return
    for bucket in _buckets(p for p in parameters if not isinstance(p, DTensor)):
        present = torch.tensor([float(p.grad is not None) for p in bucket]).to(bucket[0], non_blocking=True)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        mean = _mean(torch.cat([present, *(gradient.flatten() for gradient in gradients)]))
        present_share, *means = torch.split(mean, [len(bucket), *(p.numel() for p in bucket)])
        all_here = all(p.grad is not None for p in bucket)
        shares = [1.0] * len(bucket) if all_here else present_share.tolist()  # tolist() waits for the device
        for parameter, value, share in zip(bucket, means, shares, strict=True):
            if parameter.grad is not None:
                parameter.grad.copy_(value.view_as(parameter))
            elif share > 0:
                parameter.grad = torch.empty_like(parameter).copy_(value.view_as(parameter))  # same memory format


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Group parameters in order: one dtype and device a bucket, at most BUCKET values unless one parameter has more."""
    bucket: list[nn.Parameter] = []
    for p in parameters:
        full = bucket and sum(q.numel() for q in bucket) + p.numel() > BUCKET
        if bucket and (full or (p.dtype, p.device) != (bucket[0].dtype, bucket[0].device)):
            yield bucket
            bucket = []
        bucket.append(p)
    if bucket:
        yield bucket


@torch.no_grad()
def average_buffers(module: nn.Module) -> None:
    """Replace the floating-point buffers, such as batch-norm statistics, by their mean over the ranks."""
    buffers = [b for b in module.buffers() if b.is_floating_point()]
    if ranks() == 1 or not buffers:
        return
    mean = _mean(torch.cat([b.flatten().double() for b in buffers]))
    for buffer, value in zip(buffers, torch.split(mean, [b.numel() for b in buffers]), strict=True):
        buffer.data.copy_(value.view_as(buffer))  # through `.data`: a backward pass may still use the buffer


@torch.no_grad()
def broadcast_state(module: nn.Module) -> None:
    """Copy the parameters and buffers of rank 0 to all ranks, except sharded ones."""
    if ranks() > 1:
        for tensor in [*module.parameters(), *module.buffers()]:
            if not isinstance(tensor, DTensor):
                distributed.broadcast(tensor.data, 0)
