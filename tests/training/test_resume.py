"""A training that was killed at any moment resumes to the same result as one without interruption."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from lightning.pytorch.trainer import call

from tests.helpers.ranks import on_ranks
from zoo import list_models
from zoo.settings import Strategy
from zoo.testing.rerun import differing_files, resume_training, start_or_resume, tiny_plan
from zoo.training.trainer import train

CLIPS = 14  # two per step: validation rounds after steps 3 and 6, and after the last one, 7


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

    def call_and_count(trainer, name, *args, **kwargs):
        result = call_hooks(trainer, name, *args, **kwargs)
        count(name)
        return result

    def save_half(checkpoint, out, **kwargs):
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


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> dict[str, Path]:
    """Uninterrupted trainings by model, run on first use."""

    class Runs(dict):
        def __missing__(self, name: str) -> Path:
            self[name] = tmp_path_factory.mktemp(name)
            train(tiny_plan(name, CLIPS), self[name])
            return self[name]

    return Runs()


@pytest.mark.parametrize("name", list_models())
def test_every_model_resumes_bit_for_bit(name, uninterrupted, tmp_path):
    """Killed before the first checkpoint, between steps, in a validation round, while writing a checkpoint, and after
    the last step: weights, optimizers, averages, logged metrics and results are those of an uninterrupted training."""
    with kill_at("on_train_batch_end", 1):
        train(tiny_plan(name, CLIPS), tmp_path)
    for hook, nth in (
        ("on_train_batch_start", 2),
        ("on_validation_batch_start", 2),
        ("write", 2),
        ("on_validation_end", 2),
    ):
        with kill_at(hook, nth):
            resume_training(tmp_path)
    resume_training(tmp_path)
    assert differing_files(tmp_path, uninterrupted[name]) == []


KILLS = [
    *(("on_train_batch_start", nth) for nth in range(1, 8)),
    *(("on_train_batch_end", nth) for nth in range(1, 8)),
    *(("on_validation_start", nth) for nth in range(1, 4)),
    *(("on_validation_batch_start", nth) for nth in range(1, 7)),
    *(("on_validation_epoch_end", nth) for nth in range(1, 4)),
    *(("on_validation_end", nth) for nth in range(1, 4)),
    *(("write", nth) for nth in range(1, 11)),
    ("on_train_end", 1),
]


@pytest.mark.parametrize(("hook", "nth"), KILLS, ids=str)
def test_a_kill_at_any_hook_changes_nothing(hook, nth, uninterrupted, tmp_path):
    """The model that trains fastest, killed at every hook of its training."""
    with kill_at(hook, nth):
        train(tiny_plan("classifier", CLIPS), tmp_path)
    resume_training(tmp_path)
    assert differing_files(tmp_path, uninterrupted["classifier"]) == []


def train_until(run: Path, name: str, strategy: str, stop: tuple[str, int] | None) -> None:
    """Start or resume a training on two ranks, until a hook is reached."""
    planned = tiny_plan(name, 2 * CLIPS)
    planned.settings.strategy = Strategy(strategy, "cpu", "2")
    with kill_at(*stop) if stop else nullcontext():
        start_or_resume(planned, run)


@pytest.mark.parametrize(("name", "strategy"), [*((name, "ddp") for name in list_models()), ("classifier", "fsdp")])
def test_two_processes_resume_bit_for_bit(name, strategy, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    on_ranks(tmp_path / "log", train_until, whole, name, strategy, None)
    for stop in (("on_train_batch_start", 3), ("on_validation_epoch_end", 1), ("on_train_batch_end", 2), None):
        on_ranks(tmp_path / "log", train_until, run, name, strategy, stop)
    assert differing_files(run, whole) == []


def test_loading_processes_change_nothing(uninterrupted, tmp_path):
    """Two loading processes have prefetched clips when the training is killed."""
    planned = tiny_plan("segmenter", CLIPS)
    planned.data.workers = 2
    with kill_at("on_train_batch_start", 4):
        train(planned, tmp_path)
    resume_training(tmp_path)
    assert differing_files(tmp_path, uninterrupted["segmenter"]) == []
