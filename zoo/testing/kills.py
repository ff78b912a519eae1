"""Kill a training at any moment, and resume it: the result must be that of a training without interruption."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.trainer import call

from zoo.settings import Strategy
from zoo.testing.ranks import on_ranks
from zoo.testing.rerun import differing_files, resume_training, start_or_resume, tiny_plan
from zoo.training.trainer import train

CLIPS = 14
"""Budget, two clips per step: validation rounds after steps 3 and 6, and after the last one, 7."""


class Killed(BaseException):
    """Raised in place of a kill; nothing catches it."""


@contextmanager
def kill_at(hook: str, nth: int) -> Iterator[None]:
    """Kill the training at the nth call of a hook of callbacks.

    The hook `write` is the writing of a checkpoint, of which half is on disk by then.
    """
    left, call_hooks, save = [nth], call._call_callback_hooks, torch.save

    def count(name: str) -> None:
        left[0] -= name == hook
        if not left[0]:
            left[0] = -1
            raise Killed

    def call_and_count(trainer: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        result = call_hooks(trainer, name, *args, **kwargs)
        count(name)
        return result

    def save_half(checkpoint: Any, out: Any, **kwargs: Any) -> Any:
        if kwargs:  # a tensor that is sent to another rank
            return save(checkpoint, out, **kwargs)
        save(checkpoint, out)
        out.truncate(out.tell() // 2)
        count("write")
        out.seek(0)
        return save(checkpoint, out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call, "_call_callback_hooks", call_and_count)
        patch.setattr(torch, "save", save_half)
        try:
            yield
        except Killed:
            return
    pytest.fail(f"{hook} was not called {nth} times")


def check_resuming(name: str, folder: Path) -> None:
    """Kill a training before its first checkpoint, between steps, in a validation round, while it writes a checkpoint,
    and after its last step: weights, optimizers, averages, logged metrics and results are those of a whole training."""
    whole, run = folder / "whole", folder / "run"
    train(tiny_plan(name, CLIPS), whole)
    with kill_at("on_train_batch_end", 1):
        train(tiny_plan(name, CLIPS), run)
    for hook, nth in (
        ("on_train_batch_start", 2),
        ("on_validation_batch_start", 2),
        ("write", 2),
        ("on_validation_end", 2),
    ):
        with kill_at(hook, nth):
            resume_training(run)
    resume_training(run)
    assert differing_files(run, whole) == []


def check_resuming_on_two_processes(name: str, strategy: str, folder: Path) -> None:
    """The same with two processes under ``strategy``, ddp or fsdp."""
    whole, run, log = folder / "whole", folder / "run", folder / "log"
    on_ranks(log, _train_until, whole, name, strategy, None)
    for stop in (("on_train_batch_start", 3), ("on_validation_epoch_end", 1), ("on_train_batch_end", 2), None):
        on_ranks(log, _train_until, run, name, strategy, stop)
    assert differing_files(run, whole) == []


def _train_until(run: Path, name: str, strategy: str, stop: tuple[str, int] | None) -> None:
    """Start or resume a training on two ranks, until a hook is reached."""
    planned = tiny_plan(name, 2 * CLIPS)
    planned.settings.strategy = Strategy(strategy, "cpu", "2")
    with kill_at(*stop) if stop else nullcontext():
        start_or_resume(planned, run)
