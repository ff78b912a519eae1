"""Progress of a training in a terminal, and in a log file."""

import logging
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rich
from lightning import Trainer
from rich.console import Console
from torch.utils.data import DataLoader

from tests.runs.test_run_folder import TINY
from zoo.callbacks.progress import ProgressLines, TrainingBar, build_progress
from zoo.testing import CLIPS, tiny_clip, tiny_model

LINE = re.compile(r"training  (\d+)/16 clips \((\d+)%\)    [\d.]+ clips/s    0:00:\d\d left    train/loss/\w+ [\d.e-]+")


@pytest.fixture
def messages(caplog):
    caplog.set_level(logging.INFO, "zoo")
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("zoo")]


def train(lines: ProgressLines, steps: int, folder: Path) -> None:
    """Train the tiny VideoVAE, CLIPS clips a step."""
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[lines],
    )
    trainer.fit(tiny_model("videovae"), DataLoader([tiny_clip("videovae")] * steps, batch_size=None))


@pytest.mark.parametrize(("is_terminal", "kind"), [(True, TrainingBar), (False, ProgressLines)])
def test_a_bar_in_a_terminal_and_lines_elsewhere(is_terminal, kind, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(rich, "get_console", lambda: Console(force_terminal=is_terminal))
    assert type(build_progress(8)) is kind


def test_a_terminal_that_cannot_draw_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(rich, "get_console", lambda: Console(force_terminal=True))
    assert type(build_progress(8)) is ProgressLines


def test_a_line_shows_clips_speed_time_left_and_losses(messages, tmp_path):
    lines = ProgressLines(16, interval=0.0)
    train(lines, 16 // CLIPS, tmp_path)
    first, *rest = messages()
    assert first == f"training for 16 clips in {tmp_path}"
    matches = [LINE.match(line) for line in rest]
    assert all(matches), rest
    assert [match[1] for match in matches] == [str(seen) for seen in range(CLIPS, 17, CLIPS)]
    assert matches[-1][2] == "100"


def test_lines_are_at_least_an_interval_apart(messages, monkeypatch, tmp_path):
    """Every step takes ten seconds: with 30 s between lines, every third step has one."""
    now = [0.0]
    lines = ProgressLines(16, interval=30.0)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    on_train_batch_end = lines.on_train_batch_end

    def step(*args):
        now[0] += 10.0
        on_train_batch_end(*args)

    lines.on_train_batch_end = step
    train(lines, 8, tmp_path)
    assert [line.split()[1] for line in messages()[1:]] == ["6/16", "12/16"]
    assert "0.2 clips/s    0:00:50 left" in messages()[1]


def test_a_log_file_shows_progress_while_the_training_runs(tmp_path):
    """The command with its output in a file: the run folder, and a line with the metrics of every round."""
    words = [*TINY, "trainer.progress=true", "budget.clips=8", f"hydra.run.dir={tmp_path}/run"]
    with (tmp_path / "log").open("w") as log:
        subprocess.run([sys.executable, "-m", "zoo.train", *words], check=True, stdout=log)
    text = (tmp_path / "log").read_text()
    assert f"training for 8 clips in {tmp_path}/run" in text
    rounds = re.findall(r"^validated (\d+)/8 clips .*val/\S+ [\d.]+", text, re.MULTILINE)
    assert rounds == ["4", "8"]


def test_a_library_call_prints_nothing(capsys, tmp_path):
    """Without a command no handler is installed, so messages stay silent."""
    lines = ProgressLines(16, interval=0.0)
    train(lines, 2, tmp_path)
    assert "clips" not in "".join(capsys.readouterr())
