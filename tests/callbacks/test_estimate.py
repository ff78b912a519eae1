"""The line that says how long a training will take and how much memory it needs. The clock is a fake one."""

import logging
import time
from types import SimpleNamespace

import pytest
import torch
from lightning import Callback, Trainer
from torch.utils.data import DataLoader

from zoo.callbacks import estimate, throughput
from zoo.callbacks.checkpoints import FinalValidation
from zoo.callbacks.estimate import Estimate, format_duration
from zoo.testing import CLIPS, tiny_clip, tiny_model
from zoo.testing.rerun import tiny_plan
from zoo.training.trainer import build_callbacks


class Training:
    """A training of 1,000 steps of 8 clips, with four rounds, whose times the test sets."""

    def __init__(self, **trainer):
        self.now, self.memory = 0.0, 1536.0
        self.callback, self.step = Estimate(), 0
        self.model = SimpleNamespace(step_clips=8, device=torch.device("cpu"))
        defaults = {"num_training_batches": 1000, "val_check_batch": 250, "enable_validation": True}
        self.trainer = SimpleNamespace(**{**defaults, "is_global_zero": True, "world_size": 1, **trainer})
        self.callback.on_train_start(self.trainer, self.model)

    def run(self, steps, seconds=1.0, round_seconds=0.0):
        """Take steps of so many seconds each, and the rounds between them."""
        for _ in range(steps):
            self.callback.on_train_batch_start(self.trainer, self.model, None, self.step)
            self.now += seconds
            self.callback.on_train_batch_end(self.trainer, self.model, None, None, self.step)
            self.step += 1
            if self.trainer.enable_validation and self.step % self.trainer.val_check_batch == 0:
                self.now += round_seconds


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "zoo")
    return lambda: [record.getMessage() for record in caplog.records if record.name == estimate.__name__]


@pytest.fixture
def start(monkeypatch):
    """Start a training, with its clock and its memory in place of the real ones."""

    def start(**trainer):
        training = Training(**trainer)
        monkeypatch.setattr(time, "monotonic", lambda: training.now)
        monkeypatch.setattr(estimate, "peak_memory", lambda: training.memory)
        return training

    return start


def test_line_after_five_steps_without_the_first(start, lines):
    """The first step takes a minute, the others 1 s: 994 steps of 8 clips at 8 clips/s are 994 s, 17 minutes."""
    training = start()
    training.run(1, seconds=60.0)
    training.run(4)
    assert lines() == []
    training.run(1)
    assert lines() == ["about 17 min left (7,952 clips at 8.0 clips/s, without validation), 1.5 GiB of memory"]


def test_three_seconds_are_measured_at_least(start, lines):
    """Steps of 0.25 s: the thirteenth ends 3 s after the first. 987 steps are left: 246.75 s."""
    training = start()
    training.run(12, seconds=0.25)
    assert lines() == []
    training.run(1, seconds=0.25)
    assert lines() == ["about 4 min left (7,896 clips at 32.0 clips/s, without validation), 1.5 GiB of memory"]


def test_slow_training_has_a_line_before_its_first_round(start, lines):
    """A round after three steps of 20 s: two steps are measured. Three of six are left: 60 s."""
    training = start(num_training_batches=6, val_check_batch=3)
    training.run(3, seconds=20.0)
    assert lines() == ["about 60 s left (24 clips at 0.4 clips/s, without validation), 1.5 GiB of memory"]


def test_rounds_are_included_once_one_was_measured(start, lines):
    """994 s were left after 6 s. After the first round of 100 s it is 750 + 3 * 100 s after 350 s: 400 s later."""
    training = start()
    training.run(251, round_seconds=100.0)
    assert lines()[1:] == [
        "now about 18 min left (6,000 clips at 8.0 clips/s, 3 validation rounds of 100 s), 1.5 GiB of memory"
    ]
    training.run(749, round_seconds=100.0)
    assert len(lines()) == 2


@pytest.mark.parametrize(("round_seconds", "count"), [(49.0, 1), (51.0, 2)])
def test_it_is_corrected_if_it_was_off_by_more_than_a_fifth(start, lines, round_seconds, count):
    """994 s were left, and a fifth is 198.8 s. Four rounds of 49 s are 196 s more, of 51 s 204 s more."""
    training = start()
    training.run(1000, round_seconds=round_seconds)
    assert len(lines()) == count


def test_change_of_speed_is_corrected(start, lines):
    """Without rounds: half the steps take 1 s, the others 2 s."""
    training = start(enable_validation=False)
    training.run(500)
    assert lines() == ["about 17 min left (7,952 clips at 8.0 clips/s), 1.5 GiB of memory"]
    training.run(500, seconds=2.0)
    assert 2 <= len(lines()) <= 4  # the average takes some windows to follow
    speed = float(lines()[-1].partition(" clips at ")[2].partition(" ")[0])
    assert speed == pytest.approx(4.0, rel=0.1)


def test_noise_in_the_speed_is_not_corrected(start, lines):
    """Every second step takes 0.5 s, the others 1.5 s."""
    training = start()
    for _ in range(500):
        training.run(1, seconds=0.5)
        training.run(1, seconds=1.5)
    assert len(lines()) == 1


def test_larger_memory_is_corrected(start, lines):
    training = start()
    training.run(20)
    training.memory *= 1.1
    training.run(100)
    assert len(lines()) == 1
    training.memory *= 1.2
    training.run(100)
    assert len(lines()) == 2
    assert lines()[1].startswith("now about ")
    assert lines()[1].endswith(", 2.0 GiB of memory")


def test_there_are_five_lines_at_most(start, lines):
    training = start()
    for exponent in range(10):
        training.run(100, seconds=2.0**exponent)
    assert len(lines()) == 5


def test_resumed_training_estimates_what_is_left(start, lines):
    """It goes on after 600 steps, and repeats no round. 394 steps are left after six, and two rounds."""
    training = start()
    training.step = 600
    training.run(6)
    assert lines() == ["about 7 min left (3,152 clips at 8.0 clips/s, without validation), 1.5 GiB of memory"]
    training.run(150, round_seconds=150.0)
    assert lines()[1:] == [
        "now about 7 min left (2,000 clips at 8.0 clips/s, 1 validation round of 150 s), 1.5 GiB of memory"
    ]


def test_training_of_seconds_has_no_line(start, lines):
    training = start(num_training_batches=20, val_check_batch=5)
    training.run(20, round_seconds=0.5)
    assert lines() == []


def test_only_the_main_process_logs_and_memory_is_per_process(start, lines):
    start(is_global_zero=False, world_size=2).run(300)
    assert lines() == []
    training = start(world_size=2)
    training.model.device = torch.device("cuda")
    training.run(10)
    assert lines()[0].endswith(", 1.5 GiB of GPU memory per process")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "less than 1 s"),
        (45.4, "45 s"),
        (179.0, "179 s"),
        (180.0, "3 min"),
        (5999, "1 h 40 min"),
        (43_800, "12 h 10 min"),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


def test_durations_of_days():
    assert format_duration(53 * 3600) == "2 d 5 h"


def test_real_trainer_calls_it_in_this_order(start, lines, monkeypatch, tmp_path):
    """Steps of 1 s and rounds of 50 s, the first of which is over after 9 steps of 30: 21 steps and 3 rounds are left,
    since the last round comes after 3 more steps. Samples and checkpoints of other callbacks count to a round."""
    training = start()

    class Clock(Callback):
        def on_train_batch_start(self, *_):
            training.now += 1.0

        def on_validation_start(self, *_):
            training.now += 20.0

        def on_validation_end(self, *_):
            training.now += 30.0

    clips = DataLoader([tiny_clip("classifier")] * 30, batch_size=None)
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        max_epochs=1,
        val_check_interval=0.3,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        callbacks=[FinalValidation(), Estimate(), Clock()],
    )
    trainer.fit(tiny_model("classifier"), clips, DataLoader([tiny_clip("classifier")], batch_size=None))
    speed, left = f"{CLIPS:.1f} clips/s", f"{21 * CLIPS} clips"
    assert lines() == [
        f"about 24 s left ({24 * CLIPS} clips at {speed}, without validation), 1.5 GiB of memory",
        f"now about 171 s left ({left} at {speed}, 3 validation rounds of 50 s), 1.5 GiB of memory",
    ]


@pytest.mark.parametrize("progress", [True, False])
def test_progress_turns_it_off(progress, tmp_path):
    planned = tiny_plan("segmenter", 4)
    planned.settings.trainer.progress = progress
    assert any(isinstance(callback, Estimate) for callback in build_callbacks(planned, tmp_path)) == progress


def test_memory_is_that_of_the_gpu_only_if_one_is_used(monkeypatch):
    """On a machine with a GPU, a training on the CPU reserves none of its memory."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 0)
    assert throughput.peak_memory() > 100
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 3 * 2**20)
    assert throughput.peak_memory() == 3
