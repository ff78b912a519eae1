"""Compare the speed of a training step with that of its convolutions alone on the same machine.

FLOPs of matrix products and convolutions are counted, forward and backward; a multiply-add is 2 FLOPs.
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

from zoo.benchmark.step_profiler import Timer
from zoo.model import VideoModel

LARGEST = 8  # convolutions that are timed alone
FORWARD_AND_BACKWARD = 3  # gradients of input and weight take as many FLOPs as the convolution, each


@dataclass(frozen=True)
class Convolution:
    """The signature of a convolution: shapes of input (B, C, ...) and weight, and its arguments.

    flops: of the forward pass.
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
        """Run the convolution, without a bias."""
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


class ConvolutionCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the forward passes of convolutions, by signature."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[Convolution] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket is torch.ops.aten.convolution:
            image, weight, _, stride, padding, dilation, transposed, output_padding, groups = args
            convolution = Convolution(
                input=tuple(image.shape),
                weight=tuple(weight.shape),
                stride=tuple(stride),
                padding=tuple(padding),
                dilation=tuple(dilation),
                transposed=transposed,
                output_padding=tuple(output_padding),
                groups=groups,
                dtype=str(image.dtype).removeprefix("torch."),
                flops=conv_flop_count(image.shape, weight.shape, result.shape, transposed),
            )
            self.calls[convolution] += 1
        return result


class FlopCounter(Callback):
    """Counts the FLOPs of every training step from step ``first`` on, and the convolutions of all of them."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.flops: list[int] = []
        self.convolutions = ConvolutionCounter()
        self.modes = ExitStack()

    def on_train_batch_start(self, trainer: Trainer, model: VideoModel[Any], batch: Any, batch_idx: int) -> None:
        """Start counting."""
        if batch_idx < self.first:
            return
        self.counter = self.modes.enter_context(FlopCounterMode(display=False))
        self.modes.enter_context(self.convolutions)

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop counting."""
        self.modes.close()
        if batch_idx >= self.first:
            self.flops.append(self.counter.get_total_flops())


def time_alone(
    convolution: Convolution, device: torch.device, timer: Timer, warm_up: int, repetitions: int
) -> tuple[float, str]:
    """Median seconds of a convolution, forward and backward, in its fastest memory format, and the name of that."""
    formats = {"contiguous": torch.contiguous_format}
    if channels_last := {4: torch.channels_last, 5: torch.channels_last_3d}.get(len(convolution.input)):
        formats["channels last"] = channels_last
    medians = {}
    for name, memory_format in formats.items():
        image, weight = (
            torch.randn(shape, dtype=getattr(torch, convolution.dtype), device=device)
            .to(memory_format=memory_format)
            .requires_grad_()
            for shape in (convolution.input, convolution.weight)
        )
        gradient = torch.randn_like(convolution(image, weight))

        def run_once(image: Tensor = image, weight: Tensor = weight, gradient: Tensor = gradient) -> None:
            torch.autograd.grad(convolution(image, weight), (image, weight), gradient)

        medians[name] = statistics.median(time_repetitions(run_once, timer, warm_up, repetitions))
    fastest = min(medians, key=medians.__getitem__)
    return medians[fastest], fastest


def time_repetitions(run_once: Callable[[], None], timer: Timer, warm_up: int, repetitions: int) -> list[float]:
    """Seconds of each repetition."""
    for _ in range(warm_up):
        run_once()
    marks = [timer.now()]
    for _ in range(repetitions):
        run_once()
        marks.append(timer.now())
    return [timer.between(begin, end) for begin, end in pairwise(marks)]


def roofline(
    counter: FlopCounter,
    step_seconds: Sequence[float],
    device: torch.device,
    timer: Timer,
    warm_up: int,
    repetitions: int,
) -> dict[str, Any]:
    """Speed of the measured steps, and of their largest convolutions alone, in FLOP/s; as plain data.

    counter: has counted the first of the measured steps. step_seconds: of all measured steps.
    """
    flops = counter.flops
    achieved = statistics.median(work / took for work, took in zip(flops, step_seconds, strict=False))
    report: dict[str, Any] = {"flop_per_step": statistics.median(flops), "flop_per_s": achieved}
    calls = counter.convolutions.calls
    total = sum(number * convolution.flops for convolution, number in calls.items())
    largest = sorted(calls, key=lambda convolution: calls[convolution] * convolution.flops, reverse=True)[:LARGEST]
    work, seconds, rows = 0, 0.0, []
    for convolution in largest:
        took, layout = time_alone(convolution, device, timer, warm_up, repetitions)
        forward = calls[convolution] * convolution.flops
        work, seconds = work + FORWARD_AND_BACKWARD * forward, seconds + calls[convolution] * took
        speed = {"layout": layout, "flop_per_s": FORWARD_AND_BACKWARD * convolution.flops / took}
        usage = {"calls_per_step": calls[convolution] / len(flops), "share": forward / total}
        rows.append(asdict(convolution) | usage | speed)
    if rows:
        report |= {"convolution_flop_per_s": work / seconds, "share": achieved * seconds / work}
    return report | {"convolutions": rows}
