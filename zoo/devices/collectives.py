"""Figures over the ranks, the processes that share a training. Where there is one, each is its argument, bit for bit.

Every rank must call, and in the same order: a rank that does not leaves the others waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor

T = TypeVar("T")
BUCKET = 2**23
"""Gradients that travel together: 32 MiB in single precision."""


def ranks() -> int:
    """How many processes share the training."""
    there = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if there else 1


class _Mean(torch.autograd.Function):
    """The mean over ranks; the gradient is that of the sum of the losses of all of them."""

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
    """The mean of a floating-point tensor of any shape, alike on all ranks.

    Differentiable, for losses that the ranks' gradients are averaged of: what depends on the whole batch then learns
    from the whole batch.
    """
    return x if ranks() == 1 else _Mean.apply(x)


@torch.no_grad()
def sum_over_ranks(count: Tensor) -> Tensor:
    """The sum, any shape and type; no gradient."""
    return _reduced(count, distributed.ReduceOp.SUM)


@torch.no_grad()
def max_over_ranks(x: Tensor) -> Tensor:
    """The largest value, place by place; no gradient."""
    return _reduced(x, distributed.ReduceOp.MAX)


def gather_from_ranks(things: list[T]) -> list[T]:
    """What every rank has, in the order of the ranks; things that can be pickled, tensors on the processor."""
    if ranks() == 1:
        return things
    of_each: list[Any] = [None] * ranks()
    distributed.all_gather_object(of_each, things)
    return [thing for of_one in of_each for thing in of_one]


def _reduced(x: Tensor, how: Any) -> Tensor:
    if ranks() == 1:
        return x
    x = x.detach().clone()
    distributed.all_reduce(x, how)
    return x


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the ranks, in a few large messages.

    A parameter without a gradient counts as zero where another rank has one, and stays without where none has. Sharded
    parameters are left out: their gradients were averaged when they were sharded.
    """
    if ranks() == 1:
        return
    for bucket in _buckets(p for p in parameters if not isinstance(p, DTensor)):
        there = torch.tensor([float(p.grad is not None) for p in bucket]).to(bucket[0], non_blocking=True)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        mean = _mean(torch.cat([there, *(gradient.flatten() for gradient in gradients)]))
        somewhere, *means = torch.split(mean, [len(bucket), *(p.numel() for p in bucket)])
        all_here = all(p.grad is not None for p in bucket)
        known = [1.0] * len(bucket) if all_here else somewhere.tolist()  # only then is the device waited for
        for parameter, value, share in zip(bucket, means, known, strict=True):
            if parameter.grad is not None:
                parameter.grad.copy_(value.view_as(parameter))
            elif share > 0:
                parameter.grad = torch.empty_like(parameter).copy_(value.view_as(parameter))  # and laid out as it is


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """In order, of one type and device each, and no larger than BUCKET unless one parameter is."""
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
    """Make the floating-point buffers, such as the statistics of a batch norm, alike: their mean over the ranks."""
    buffers = [b for b in module.buffers() if b.is_floating_point()]
    if ranks() == 1 or not buffers:
        return
    mean = _mean(torch.cat([b.flatten().double() for b in buffers]))
    for buffer, value in zip(buffers, torch.split(mean, [b.numel() for b in buffers]), strict=True):
        buffer.data.copy_(value.view_as(buffer))  # under `.data`: a backward pass may still hold the buffer


@torch.no_grad()
def broadcast_state(module: nn.Module) -> None:
    """Begin with the parameters and buffers of the first rank; those that are sharded are left alone."""
    if ranks() > 1:
        for tensor in [*module.parameters(), *module.buffers()]:
            if not isinstance(tensor, DTensor):
                distributed.broadcast(tensor.data, 0)
