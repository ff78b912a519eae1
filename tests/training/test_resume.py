"""A training that was cut off anywhere goes on as if it had never stopped."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from lightning.pytorch.trainer import call

from tests.helpers.ranks import on_ranks
from zoo import list_models
from zoo.settings import Strategy
from zoo.testing.rerun import begin_or_go_on, go_on, tiny_plan, unlike
from zoo.training.trainer import train

CLIPS = 14  # of two each step: rounds after steps 3 and 6, and after the last, which is 7


class Killed(BaseException):
    """What nothing catches, as a kill."""


@contextmanager
def cut(hook: str, nth: int) -> Iterator[None]:
    """Kill the training when Lightning has called the callbacks' hook so many times; writing a checkpoint counts, too,
    as the hook `write`, and then half of it is on the disk."""
    left, call_hooks, save = [nth], call._call_callback_hooks, torch.save

    def count(name: str) -> None:
        left[0] -= name == hook
        if not left[0]:
            left[0] = -1
            raise Killed

    def counted(trainer, name, *words, **more):
        answer = call_hooks(trainer, name, *words, **more)
        count(name)
        return answer

    def half(checkpoint, out, **more):
        if more:  # a tensor on its way to another rank
            return save(checkpoint, out, **more)
        save(checkpoint, out)
        out.truncate(out.tell() // 2)
        count("write")
        out.seek(0)
        return save(checkpoint, out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call, "_call_callback_hooks", counted)
        patch.setattr(torch, "save", half)
        try:
            yield
        except Killed:
            return
    pytest.fail(f"{hook} was not called {nth} times")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, Path]:
    """Trainings that nothing stopped, by model, made when first asked for."""

    class Runs(dict):
        def __missing__(self, name: str) -> Path:
            self[name] = tmp_path_factory.mktemp(name)
            train(tiny_plan(name, CLIPS), self[name])
            return self[name]

    return Runs()


@pytest.mark.parametrize("name", list_models())
def test_every_model_goes_on_to_the_same_bits(name, undisturbed, tmp_path):
    """Killed before its first checkpoint, between steps, in a round, while a checkpoint is written, after the last
    step: weights, optimizers, averages, every logged number and every result are those of a training in one go."""
    with cut("on_train_batch_end", 1):
        train(tiny_plan(name, CLIPS), tmp_path)
    for hook, nth in (
        ("on_train_batch_start", 2),
        ("on_validation_batch_start", 2),
        ("write", 2),
        ("on_validation_end", 2),
    ):
        with cut(hook, nth):
            go_on(tmp_path)
    go_on(tmp_path)
    assert unlike(tmp_path, undisturbed[name]) == []


CUTS = [
    *(("on_train_batch_start", nth) for nth in range(1, 8)),
    *(("on_train_batch_end", nth) for nth in range(1, 8)),
    *(("on_validation_start", nth) for nth in range(1, 4)),
    *(("on_validation_batch_start", nth) for nth in range(1, 7)),
    *(("on_validation_epoch_end", nth) for nth in range(1, 4)),
    *(("on_validation_end", nth) for nth in range(1, 4)),
    *(("write", nth) for nth in range(1, 11)),
    ("on_train_end", 1),
]


@pytest.mark.parametrize(("hook", "nth"), CUTS, ids=str)
def test_no_moment_matters(hook, nth, undisturbed, tmp_path):
    """The model that trains fastest, killed at every hook of its training."""
    with cut(hook, nth):
        train(tiny_plan("classifier", CLIPS), tmp_path)
    go_on(tmp_path)
    assert unlike(tmp_path, undisturbed["classifier"]) == []


def on_two(run: Path, name: str, strategy: str, stop: tuple[str, int] | None) -> None:
    """Begin or go on, on each of two ranks, until a hook is reached."""
    planned = tiny_plan(name, 2 * CLIPS)
    planned.settings.strategy = Strategy(strategy, "cpu", "2")
    with cut(*stop) if stop else nullcontext():
        begin_or_go_on(planned, run)


@pytest.mark.parametrize(("name", "strategy"), [*((name, "ddp") for name in list_models()), ("classifier", "fsdp")])
def test_two_processes_go_on_to_the_same_bits(name, strategy, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    on_ranks(tmp_path / "log", on_two, whole, name, strategy, None)
    for stop in (("on_train_batch_start", 3), ("on_validation_epoch_end", 1), ("on_train_batch_end", 2), None):
        on_ranks(tmp_path / "log", on_two, run, name, strategy, stop)
    assert unlike(run, whole) == []


def test_loading_processes_make_no_difference(undisturbed, tmp_path):
    """Clips come from two other processes, which are ahead of the training when it is cut off."""
    planned = tiny_plan("segmenter", CLIPS)
    planned.data.workers = 2
    with cut("on_train_batch_start", 4):
        train(planned, tmp_path)
    go_on(tmp_path)
    assert unlike(tmp_path, undisturbed["segmenter"]) == []
