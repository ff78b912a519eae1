"""How close a training step comes to what this machine makes of its convolutions alone.

Counted are products of matrices and convolutions, forward and backward, a multiplication and an addition as two.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from zoo.benchmark.split import Clock
from zoo.model import VideoModel

HEAVIEST = 8
FORWARD_AND_BACKWARD = 3  # gradients of input and weight take as many FLOPs as the convolution itself, each


@dataclass(frozen=True)
class Convolution:
    """A convolution as it was called: the sizes of its input (B, C, ...) and weight, and how it is laid over it.

    flops: of its forward pass.
    """

    input: tuple[int, ...]
    weight: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    output_padding: tuple[int, ...]
    groups: int
    dtype: str
    flops: int

    def __call__(self, image: Tensor, weight: Tensor) -> Tensor:
        """Without a bias."""
        return torch.convolution(
            image,
            weight,
            None,
            self.stride,
            self.padding,
            self.dilation,
            self.transposed,
            self.output_padding,
            self.groups,
        )


class Convolutions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the forward passes of every kind of convolution."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[Convolution] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if func.overloadpacket is torch.ops.aten.convolution:
            image, weight, _, stride, padding, dilation, transposed, output_padding, groups = args
            seen = Convolution(
                input=tuple(image.shape),
                weight=tuple(weight.shape),
                stride=tuple(stride),
                padding=tuple(padding),
                dilation=tuple(dilation),
                transposed=transposed,
                output_padding=tuple(output_padding),
                groups=groups,
                dtype=str(image.dtype).removeprefix("torch."),
                flops=conv_flop_count(image.shape, weight.shape, made.shape, transposed),
            )
            self.calls[seen] += 1
        return made


class Count(Callback):
    """FLOPs of every training step from ``first`` on, and the convolutions of them all."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.flops: list[int] = []
        self.convolutions = Convolutions()
        self.modes = ExitStack()

    def on_train_batch_start(self, trainer: Trainer, model: VideoModel[Any], batch: Any, batch_idx: int) -> None:
        """Count from here."""
        if batch_idx < self.first:
            return
        self.counter = self.modes.enter_context(FlopCounterMode(display=False))
        self.modes.enter_context(self.convolutions)

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """To here."""
        self.modes.close()
        if batch_idx >= self.first:
            self.flops.append(self.counter.get_total_flops())


def alone(seen: Convolution, device: torch.device, clock: Clock, warm_up: int, repetitions: int) -> tuple[float, str]:
    """Seconds of one such convolution, forward and backward, and the layout in memory that it is fastest with."""
    layouts = {"contiguous": torch.contiguous_format}
    if channels_last := {4: torch.channels_last, 5: torch.channels_last_3d}.get(len(seen.input)):
        layouts["channels last"] = channels_last
    timed = {}
    for name, layout in layouts.items():
        image, weight = (
            torch.randn(shape, dtype=getattr(torch, seen.dtype), device=device)
            .to(memory_format=layout)
            .requires_grad_()
            for shape in (seen.input, seen.weight)
        )
        gradient = torch.randn_like(seen(image, weight))

        def once(image: Tensor = image, weight: Tensor = weight, gradient: Tensor = gradient) -> None:
            torch.autograd.grad(seen(image, weight), (image, weight), gradient)

        timed[name] = statistics.median(timings(once, clock, warm_up, repetitions))
    best = min(timed, key=timed.__getitem__)
    return timed[best], best


def timings(once: Callable[[], None], clock: Clock, warm_up: int, repetitions: int) -> list[float]:
    """Seconds of each repetition."""
    for _ in range(warm_up):
        once()
    marks = [clock.now()]
    for _ in range(repetitions):
        once()
        marks.append(clock.now())
    return [clock.between(begin, end) for begin, end in pairwise(marks)]


def roofline(
    count: Count, step_seconds: Sequence[float], device: torch.device, clock: Clock, warm_up: int, repetitions: int
) -> dict[str, Any]:
    """What the measured steps achieve and what their heaviest convolutions achieve alone, in FLOP/s.

    step_seconds: of the steps that were counted, and more.
    """
    flops = count.flops
    achieved = statistics.median(work / took for work, took in zip(flops, step_seconds, strict=False))
    told: dict[str, Any] = {"flop_per_step": statistics.median(flops), "flop_per_s": achieved}
    calls = count.convolutions.calls
    total = sum(number * seen.flops for seen, number in calls.items())
    heaviest = sorted(calls, key=lambda seen: calls[seen] * seen.flops, reverse=True)[:HEAVIEST]
    work, seconds, rows = 0, 0.0, []
    for seen in heaviest:
        took, layout = alone(seen, device, clock, warm_up, repetitions)
        done = calls[seen] * seen.flops
        work, seconds = work + FORWARD_AND_BACKWARD * done, seconds + calls[seen] * took
        speed = {"layout": layout, "flop_per_s": FORWARD_AND_BACKWARD * seen.flops / took}
        rows.append(asdict(seen) | {"calls_per_step": calls[seen] / len(flops), "share": done / total} | speed)
    if rows:
        told |= {"convolution_flop_per_s": work / seconds, "share": achieved * seconds / work}
    return told | {"convolutions": rows}
