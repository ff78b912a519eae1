"""A training that was killed at any moment resumes to the same result as one without interruption.

The contract of every model has a test of its own; here are every hook, sharded weights and loading processes.
"""

from pathlib import Path

import pytest

from zoo.testing.kills import CLIPS, check_resuming_on_two_processes, kill_at
from zoo.testing.rerun import differing_files, resume_training, tiny_plan
from zoo.training.trainer import train


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> dict[str, Path]:
    """Uninterrupted trainings by model, run on first use."""

    class Runs(dict):
        def __missing__(self, name: str) -> Path:
            self[name] = tmp_path_factory.mktemp(name)
            train(tiny_plan(name, CLIPS), self[name])
            return self[name]

    return Runs()


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


def test_two_processes_with_sharded_weights_resume_bit_for_bit(tmp_path):
    check_resuming_on_two_processes("classifier", "fsdp", tmp_path)


def test_loading_processes_change_nothing(uninterrupted, tmp_path):
    """Two loading processes have prefetched clips when the training is killed."""
    planned = tiny_plan("segmenter", CLIPS)
    planned.data.workers = 2
    with kill_at("on_train_batch_start", 4):
        train(planned, tmp_path)
    resume_training(tmp_path)
    assert differing_files(tmp_path, uninterrupted["segmenter"]) == []
