"""Divide the time of a training step into parts, through the profiler hooks of Lightning's own loop.

So the measured step is the real one, with one optimizer or several, any strategy and precision. The parts add up to the
whole step, from one request for a batch to the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Protocol

import torch
from lightning.pytorch.profilers import Profiler

DATA, FORWARD, BACKWARD, OPTIMIZER, REST = PARTS = ("data", "forward", "backward", "optimizer", "rest")
"""data: waiting for a batch and moving it to the device. forward: losses. backward: gradients. optimizer: gradient
clipping and optimizer steps. rest: weight averages, logging and Lightning's loop."""

ACTIONS = {
    "train_dataloader_next": DATA,
    "batch_to_device": DATA,
    "training_step": FORWARD,
    "optimizer_step": OPTIMIZER,  # with one optimizer it contains the training step and the backward pass
}
MODEL_PREFIX = "[LightningModule]"  # hooks of the model run once, those of callbacks once per callback


class Timer(Protocol):
    """Marks moments, and returns the seconds between two of them later."""

    def now(self) -> Any:
        """Mark the current moment."""

    def between(self, begin: Any, end: Any) -> float:
        """Seconds between two moments."""

    def settle(self) -> None:
        """Wait until all queued work is done."""


class CpuTimer:
    """Measures the CPU by its performance counter."""

    def now(self) -> float:
        """Mark the current moment."""
        return time.perf_counter()

    def between(self, begin: float, end: float) -> float:
        """Seconds between two moments."""
        return end - begin

    def settle(self) -> None:
        """Do nothing: the CPU has no queue."""


class CudaTimer:
    """Measures a GPU by events in its queue, so that measuring does not wait for it."""

    def now(self) -> torch.cuda.Event:
        """Record an event."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def between(self, begin: torch.cuda.Event, end: torch.cuda.Event) -> float:
        """Seconds between two events; waits for the second."""
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1000

    def settle(self) -> None:
        """Wait until the queue of the GPU is empty."""
        torch.cuda.synchronize()


def build_timer(device: torch.device) -> Timer:
    """Build the timer for a device."""
    return CudaTimer() if device.type == "cuda" else CpuTimer()


class StepProfiler(Profiler):
    """Records the moments at which another part of a step begins. A nested action interrupts the outer one.

    before_step: called with the number of each step, from 0; its time is not measured.
    """

    def __init__(self, timer: Timer, before_step: Callable[[int], None]) -> None:
        super().__init__()
        self.timer, self.before_step = timer, before_step
        self.steps: list[list[tuple[str, Any]]] = []
        self.stack: list[str] = []
        self.in_step = False

    def start(self, action_name: str) -> None:
        """Called by Lightning when an action starts."""
        hook = action_name.rpartition(".")[2]
        if hook == "train_dataloader_next":
            self._end_step()
            self.before_step(len(self.steps))
            self.steps.append([])
            self.in_step = True
        elif hook == "on_train_epoch_end":
            self._end_step()
        if hook in ACTIONS:
            self._enter(ACTIONS[hook])
        elif action_name.startswith(MODEL_PREFIX) and hook == "on_before_backward":
            self._enter(BACKWARD)

    def stop(self, action_name: str) -> None:
        """Called by Lightning when an action ends."""
        hook = action_name.rpartition(".")[2]
        if hook in ACTIONS or (action_name.startswith(MODEL_PREFIX) and hook == "on_after_backward"):
            self._leave()

    def _enter(self, part: str) -> None:
        if self.in_step:
            self.stack.append(part)
            self.steps[-1].append((part, self.timer.now()))

    def _leave(self) -> None:
        if self.in_step:
            self.stack.pop()
            self.steps[-1].append((self.stack[-1] if self.stack else REST, self.timer.now()))

    def _end_step(self) -> None:
        if self.in_step:
            self.steps[-1].append((REST, self.timer.now()))
            self.in_step = False

    def seconds(self) -> dict[str, list[float]]:
        """Seconds of each part in every step, and of the whole step under ``whole``."""
        rows = [self._sum_parts(step) for step in self.steps]
        series = {part: [row[part] for row in rows] for part in PARTS}
        return {"whole": [sum(row.values()) for row in rows], **series}

    def _sum_parts(self, step: list[tuple[str, Any]]) -> dict[str, float]:
        seconds = dict.fromkeys(PARTS, 0.0)
        for (part, begin), (_, end) in pairwise(step):
            seconds[part] += self.timer.between(begin, end)
        return seconds
