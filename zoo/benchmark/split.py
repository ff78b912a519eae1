"""Which part of a training step every moment belongs to: Lightning's own loop tells, through its profiler.

So the step is the real one, of one optimizer or of several, under any strategy and precision, and nothing is left out:
the parts add up to the whole, from one request for a batch to the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Protocol

import torch
from lightning.pytorch.profilers import Profiler

DATA, FORWARD, BACKWARD, OPTIMIZER, REST = PARTS = ("data", "forward", "backward", "optimizer", "rest")
"""Waiting for a batch and moving it to the device; losses; gradients; clipping and steps of optimizers; averages of
weights, logging and the loop."""

ACTIONS = {
    "train_dataloader_next": DATA,
    "batch_to_device": DATA,
    "training_step": FORWARD,
    "optimizer_step": OPTIMIZER,  # with one optimizer, the training step and its backward pass lie inside
}
OF_MODEL = "[LightningModule]"  # its hooks are called once; those of callbacks, once for each


class Clock(Protocol):
    """Marks moments, and tells later how many seconds lie between two of them."""

    def now(self) -> Any:
        """This moment."""

    def between(self, begin: Any, end: Any) -> float:
        """Seconds."""

    def settle(self) -> None:
        """Wait until all is done that was asked for."""


class HostClock:
    """Of the processor."""

    def now(self) -> float:
        """Seconds."""
        return time.perf_counter()

    def between(self, begin: float, end: float) -> float:
        """Seconds."""
        return end - begin

    def settle(self) -> None:
        """Nothing is under way."""


class DeviceClock:
    """Of a GPU: events in its queue, so that nobody waits for it while it is measured."""

    def now(self) -> torch.cuda.Event:
        """An event."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def between(self, begin: torch.cuda.Event, end: torch.cuda.Event) -> float:
        """Seconds; waits for the second event."""
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1000

    def settle(self) -> None:
        """Wait until the queue is empty."""
        torch.cuda.synchronize()


def clock_of(device: torch.device) -> Clock:
    """The clock that the work of a device is measured with."""
    return DeviceClock() if device.type == "cuda" else HostClock()


class Split(Profiler):
    """Moments at which another part begins, step by step. An action inside another interrupts it.

    before_step: called with the number of each step, from 0, outside of what is measured.
    """

    def __init__(self, clock: Clock, before_step: Callable[[int], None]) -> None:
        super().__init__()
        self.clock, self.before_step = clock, before_step
        self.steps: list[list[tuple[str, Any]]] = []
        self.inside: list[str] = []
        self.training = False

    def start(self, action_name: str) -> None:
        """An action begins."""
        hook = action_name.rpartition(".")[2]
        if hook == "train_dataloader_next":
            self._end_step()
            self.before_step(len(self.steps))
            self.steps.append([])
            self.training = True
        elif hook == "on_train_epoch_end":
            self._end_step()
        if hook in ACTIONS:
            self._enter(ACTIONS[hook])
        elif action_name.startswith(OF_MODEL) and hook == "on_before_backward":
            self._enter(BACKWARD)

    def stop(self, action_name: str) -> None:
        """An action ends."""
        hook = action_name.rpartition(".")[2]
        if hook in ACTIONS or (action_name.startswith(OF_MODEL) and hook == "on_after_backward"):
            self._leave()

    def _enter(self, part: str) -> None:
        if self.training:
            self.inside.append(part)
            self.steps[-1].append((part, self.clock.now()))

    def _leave(self) -> None:
        if self.training:
            self.inside.pop()
            self.steps[-1].append((self.inside[-1] if self.inside else REST, self.clock.now()))

    def _end_step(self) -> None:
        if self.training:
            self.steps[-1].append((REST, self.clock.now()))
            self.training = False

    def seconds(self) -> dict[str, list[float]]:
        """Each part of each step, and under ``whole`` all of it."""
        rows = [self._parts(step) for step in self.steps]
        series = {part: [row[part] for row in rows] for part in PARTS}
        return {"whole": [sum(row.values()) for row in rows], **series}

    def _parts(self, step: list[tuple[str, Any]]) -> dict[str, float]:
        seconds = dict.fromkeys(PARTS, 0.0)
        for (part, begin), (_, end) in pairwise(step):
            seconds[part] += self.clock.between(begin, end)
        return seconds
