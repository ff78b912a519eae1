"""A run folder: one training at a time, nothing overwritten; failures leave an error message and a checkpoint."""

import errno
import json
import logging
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from tests.helpers.commands import run_command
from tests.training.test_resume import CLIPS, kill_at
from zoo import ZooError
from zoo.callbacks.checkpoints import StepCheckpoint
from zoo.config.compose import conf_dir, prepare_hydra
from zoo.config.words import quote_text, quote_words
from zoo.devices.launch import is_main_process, run_folder, start_label, was_restarted
from zoo.errors import Stopped
from zoo.io.atomic import write_atomically, write_text
from zoo.runs.csv_logger import MetricsCsvLogger
from zoo.runs.files import CLOCK
from zoo.runs.load import data_config, read_checkpoint, read_config
from zoo.runs.lock import clear_run_folder, locked
from zoo.runs.metrics_csv import read_rows
from zoo.runs.outcome import read_outcome, write_outcome
from zoo.testing.rerun import differing_files, resume_training, tiny_plan
from zoo.training import session
from zoo.training.failures import explain_failures
from zoo.training.plan import plan
from zoo.training.resume import load_resumed, prepare_overrides, with_data_of_run
from zoo.training.signals import exit_after_signal
from zoo.training.trainer import train

TINY = [
    *("model=segmenter", "model.width=4", "data.height=32", "data.width=32", "data.frames=4", "data.crowd=0"),
    *("data.workers=0", "data.batch_size=2", "trainer.progress=false", "trainer.threads=1", "trainer.log_every=1"),
    *("evaluation.clips=2", "evaluation.rounds=2", "logger.wandb=disabled", "callbacks.save_minutes=0"),
]


def run_training(*overrides: str) -> subprocess.CompletedProcess:
    return run_command("zoo.train", *overrides)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("finished") / "run"
    done = run_training(*TINY, "budget.clips=8", f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr
    return run


# -------------------------------------------------------------------- lock and overwriting


def test_a_folder_is_locked_by_one_process(tmp_path):
    hold = "import sys; from zoo.runs.lock import locked\nwith locked(__import__('pathlib').Path(sys.argv[1])): input()"
    other = subprocess.Popen([sys.executable, "-c", hold, tmp_path], stdin=subprocess.PIPE)
    while not (tmp_path / ".lock").exists() or not (tmp_path / ".lock").read_text():
        time.sleep(0.02)
    with pytest.raises(ZooError, match=rf"is in use by process {other.pid} on"), locked(tmp_path):
        pass
    other.kill()
    other.wait()
    with locked(tmp_path):  # the lock ended with its process
        pass


def test_a_run_is_replaced_only_with_overwrite(tmp_path):
    clear_run_folder(tmp_path, overwrite=False)
    (tmp_path / "notes.txt").write_text("mine")
    clear_run_folder(tmp_path, overwrite=False)
    (tmp_path / "config.yaml").write_text("seed: 1")
    (tmp_path / "samples").mkdir()
    with pytest.raises(ZooError, match=r"already contains a run: config.yaml, samples. To resume it: .* resume="):
        clear_run_folder(tmp_path, overwrite=False)
    assert (tmp_path / "config.yaml").exists()
    clear_run_folder(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_training_twice_in_a_folder_is_refused_and_a_finished_run_is_not_resumed(finished):
    before = (finished / "last.ckpt").read_bytes()
    again = run_training(*TINY, "budget.clips=8", f"hydra.run.dir={finished}")
    assert again.returncode == 1
    assert "already contains a run" in again.stderr
    assert "Traceback" not in again.stderr
    done = run_training(f"resume={finished}")
    assert done.returncode == 0
    assert "has already finished training" in done.stdout
    assert (finished / "last.ckpt").read_bytes() == before
    outcome = read_outcome(finished)
    assert outcome["finished"]
    assert outcome["mode"] == "max"
    assert outcome["value"] == outcome["metrics"][outcome["objective"]]


def test_a_resumed_training_refuses_settings_that_change_results(finished, tmp_path):
    for word in ("seed=2", "model=vid2vid", "data=folder", "+data.crowd=1", "resumee=x"):
        with pytest.raises(ZooError, match=rf"^{re.escape(word)}: a training resumes with the settings"):
            load_resumed(finished, None, (f"resume={finished}", word))
    typed = OmegaConf.create({"data": {"workers": 3}, "logger": {"project": "other"}})
    config, start = load_resumed(finished, typed, ("data=puppets", "data.workers=3", "logger.project=other"))
    assert config.data.workers == 3
    assert config.logger.project == "other"
    assert config.model.width == 4
    assert start.clips_seen == 8
    missing = run_training(f"resume={tmp_path / 'nothing'}")
    assert missing.returncode == 1
    assert "contains no config.yaml, so there is no training to resume" in missing.stderr
    assert "Traceback" not in missing.stderr
    assert not (tmp_path / "nothing").exists()


def test_a_finished_training_continues_with_a_larger_budget(tmp_path, caplog):
    """With constant learning rates it ends with the weights of one training of that budget."""
    prepare_hydra()
    caplog.set_level(logging.INFO, "zoo")
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    for run, clips in ((parts, 4), (whole, 8)):
        planned = tiny_plan("vgan", clips)
        train(planned, run)
        write_outcome(run, {"a": 1.0}, None)
    config = OmegaConf.create({"resume": str(parts), "budget": {"clips": 8}})
    finished = session.run_training(config, parts, (f"resume={parts}", "budget.clips=8"))
    assert finished.metrics
    assert "had finished after 4 clips and goes on to budget.clips=8. Schedules now end there" in caplog.text
    ends = [read_checkpoint(run / "last.ckpt") for run in (parts, whole)]
    assert [end["clips_seen"] for end in ends] == [8, 8]
    for key, weight in ends[1]["state_dict"].items():
        assert torch.equal(ends[0]["state_dict"][key], weight), key
    assert read_config(parts)["budget"]["clips"] == 8
    resumed = json.loads((parts / "environment.json").read_text())["resumed"]
    assert [(part[CLOCK], part["budget"]) for part in resumed] == [(4, 8)]
    assert read_outcome(parts)["finished"]


def test_what_is_typed_for_a_finished_training_is_never_passed_over(finished):
    done = (f"resume={finished}",)
    same = OmegaConf.create({"resume": str(finished), "budget": {"clips": 8}})
    assert session.run_training(same, finished, (*done, "budget.clips=8")).plan is None
    with pytest.raises(ZooError, match=r"^seed=2: a training resumes with the settings"):
        session.run_training(same, finished, (*done, "seed=2"))
    less = OmegaConf.create({"resume": str(finished), "budget": {"clips": 6}})
    with pytest.raises(ZooError, match=r"^budget.clips=6, but .* has already seen 8 clips.* budget.clips=16"):
        session.run_training(less, finished, (*done, "budget.clips=6"))
    assert read_outcome(finished)["finished"]


def test_settings_of_the_data_of_a_resumed_run_are_those_of_its_data_set(tmp_path):
    (tmp_path / "config.yaml").write_text("data: {name: folder, root: /old}")
    words = [f"resume={tmp_path}", "data.root=/new"]
    assert with_data_of_run(words) == ["data=folder", *words]
    assert with_data_of_run(words[:1]) == words[:1]
    assert with_data_of_run(["resume=/none", "data.root=/new"]) == ["resume=/none", "data.root=/new"]
    assert with_data_of_run(["data.root=/new"]) == ["data.root=/new"]
    odd = tmp_path / "it's"
    odd.mkdir()
    (odd / "config.yaml").write_text("data: {name: folder, root: /old}")
    typed = prepare_overrides(quote_words([f"resume={odd}/last.ckpt", "data.root=/new"]))
    assert typed == ["data=folder", f"resume={quote_text(str(odd))}", "data.root=/new"]
    assert prepare_overrides([f"resume={tmp_path}/last.ckpt"]) == [f"resume={tmp_path}"]
    (tmp_path / "best.ckpt").touch()
    with pytest.raises(ZooError, match=f"best.ckpt is a file.*from last.ckpt. Try: resume={tmp_path}$"):
        prepare_overrides([f"resume={tmp_path}/best.ckpt"])
    (tmp_path / "last.ckpt").touch()
    assert data_config(str(tmp_path), root="/new").root == "/new"
    (tmp_path / "config.yaml").write_text("data: {name: puppets}")
    with pytest.raises(ZooError, match=r"data.root=/new, but the clips of puppets are drawn"):
        data_config(str(tmp_path), root="/new")


# -------------------------------------------------------------------- signals


def test_a_signal_saves_and_prints_the_command_that_resumes(tmp_path):
    """The signal is sent after the first logged row, and reaches a loading process, too."""
    run, uninterrupted = tmp_path / "run", tmp_path / "uninterrupted"
    words = [*TINY, "budget.clips=60", "data.workers=1", "callbacks.save_minutes=100"]
    command = [sys.executable, "-m", "zoo.train", *words, f"hydra.run.dir={run}"]
    training = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    wait_for_rows(run, training)
    os.killpg(training.pid, signal.SIGTERM)
    output = training.communicate()[0]
    assert training.returncode == 128 + signal.SIGTERM
    assert "Stopped by SIGTERM after" in output
    assert 0 < read_checkpoint(run / "last.ckpt")["clips_seen"] < 60
    assert run_training(*output.split("python -m zoo.train ")[1].split()).returncode == 0
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        train(plan(compose("train", overrides=words)), uninterrupted)
    assert differing_files(run, uninterrupted) == []
    assert len(json.loads((run / "environment.json").read_text())["resumed"]) == 1
    assert (run / "command.txt").read_text().splitlines()[1] == f"python -m zoo.train resume={run}"


def wait_for_rows(run: Path, training: subprocess.Popen) -> None:
    while not (run / "metrics.csv").exists() or not read_rows(run / "metrics.csv"):
        assert training.poll() is None
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.parametrize(("hook", "clips"), [("on_train_batch_end", 2), ("on_validation_batch_end", 6)])
def test_a_signal_ends_the_step_or_interrupts_the_round(number, hook, clips, tmp_path, monkeypatch):
    from zoo.callbacks.segmentation_metrics import SegmentationMetrics

    monkeypatch.setattr(SegmentationMetrics, hook, lambda *_, **__: os.kill(os.getpid(), number))
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stop:
        train(tiny_plan("segmenter", CLIPS), tmp_path)
    assert (stop.value.number, stop.value.clips_seen) == (number, clips)
    assert signal.getsignal(number) == before
    assert read_checkpoint(tmp_path / "last.ckpt")["clips_seen"] == clips


@pytest.mark.usefixtures("interrupts")
def test_sigusr1_requeues_the_slurm_job(tmp_path, monkeypatch, caplog):
    """With an scontrol that writes its arguments to a file."""
    caplog.set_level("INFO", "zoo")
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/requeued\n')
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    for number, requeues in ((signal.SIGTERM, False), (signal.SIGUSR1, True)):
        with pytest.raises(SystemExit) as end:
            exit_after_signal(Stopped(number, 8), tmp_path)
        assert end.value.code == 128 + number
        assert (tmp_path / "requeued").exists() == requeues
    assert (tmp_path / "requeued").read_text() == "requeue 17\n"
    assert f"resume={tmp_path}" in caplog.text


# -------------------------------------------------------------------- launchers


def test_the_main_process_by_environment_variables(monkeypatch):
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert is_main_process()
    for name, rank, is_main in (
        ("LOCAL_RANK", "0", True),
        ("NODE_RANK", "1", False),  # first process of the second machine
        ("SLURM_PROCID", "0", True),  # counts over all machines
        ("RANK", "3", False),
    ):
        monkeypatch.setenv(name, rank)
        assert is_main_process() == is_main, name


def test_a_restarted_job_finds_its_folder(monkeypatch):
    monkeypatch.delenv("SLURM_STEP_ID", raising=False)
    assert not was_restarted()
    assert run_folder("runs/old", "runs/new") == "runs/old"
    assert run_folder(None, "runs/new").startswith("runs/new-20")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_STEP_ID", "2")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert was_restarted()
    assert start_label() == "slurm17.2"


def test_two_starts_in_one_second_have_two_folders(monkeypatch):
    for name in ("SLURM_STEP_ID", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("time.strftime", lambda form: "20260101-120000")
    assert len({run_folder(None, "runs/new") for _ in range(5)}) > 1


def test_processes_of_torchrun_agree_on_a_folder(tmp_path):
    """The second process starts a second later."""
    script = (
        "import os, time; from zoo.devices.launch import start_label; time.sleep(1.2 * int(os.environ['RANK']))\n"
        f"open(f'{tmp_path}/{{os.environ[\"RANK\"]}}', 'w').write(start_label())"
    )
    (tmp_path / "label.py").write_text(script)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    subprocess.run([*torchrun, str(tmp_path / "label.py")], check=True, capture_output=True)
    assert (tmp_path / "0").read_text() == (tmp_path / "1").read_text()


# -------------------------------------------------------------------- failures


def test_a_failed_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "old")

    def write_and_fail(out):
        out.write(b"ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(file, write_and_fail)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert file.read_text() == "old"


def test_a_full_disk_is_explained_and_the_last_checkpoint_stays(tmp_path, monkeypatch):
    """The disk is full when the second checkpoint is written; afterwards the training resumes."""

    def write_half(checkpoint, out):
        out.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with kill_at("on_train_batch_start", 3):
        train(tiny_plan("segmenter", CLIPS), tmp_path)
    before = (tmp_path / "last.ckpt").read_bytes()
    with monkeypatch.context() as full:
        full.setattr("torch.save", write_half)
        with pytest.raises(ZooError, match=r"No space left on device. The last checkpoint is intact.*resume="):
            resume_training(tmp_path)
    assert (tmp_path / "last.ckpt").read_bytes() == before
    resume_training(tmp_path)
    assert read_checkpoint(tmp_path / "last.ckpt")["clips_seen"] == 14


def test_write_errors_and_lost_processes_are_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ZooError, match=r"run cannot be written: Not a directory"),
        locked(tmp_path / "file/run"),
    ):
        pass
    with (
        pytest.raises(ZooError, match=r"config.yaml could not be written: Read-only file system"),
        explain_failures(tmp_path),
    ):
        raise OSError(30, "Read-only file system", "config.yaml")
    with pytest.raises(ZooError, match=r"loading process died: Connection reset by peer"), explain_failures(tmp_path):
        raise ConnectionResetError(104, "Connection reset by peer")
    gloo = "[/build/pair.cc:561] Connection closed by peer [127.0.0.1]:32663. This is typically caused by …"
    lost = pytest.raises(ZooError, match=r"died: Connection closed by peer \[127.0.0.1\]:32663. Its own error")
    with lost, explain_failures(tmp_path):
        raise RuntimeError(gloo)
    ours, theirs = multiprocessing.Pipe()
    theirs.close()
    lost = pytest.raises(ZooError, match="loading process died: the end of its connection was reached")
    with lost, explain_failures(tmp_path):
        ours.recv()
    with pytest.raises(EOFError), explain_failures(tmp_path):
        pickle.loads(b"")  # a file that is cut off is not a lost process
    with pytest.raises(KeyError), explain_failures(tmp_path):
        raise KeyError("a bug keeps its stack trace")


def test_a_killed_loading_process_is_explained(tmp_path):
    """Killed as by the kernel when memory is short."""
    words = [*TINY, "budget.clips=4000", "data.workers=1", "callbacks.save_minutes=100", f"hydra.run.dir={tmp_path}"]
    training = subprocess.Popen([sys.executable, "-m", "zoo.train", *words], stderr=subprocess.PIPE, text=True)
    wait_for_rows(tmp_path, training)
    children = Path(f"/proc/{training.pid}/task/{training.pid}/children").read_text().split()
    loading = [child for child in children if "zoo.train" in Path(f"/proc/{child}/cmdline").read_text()]
    os.kill(int(loading[0]), signal.SIGKILL)
    error = training.communicate()[1]
    assert training.returncode == 1
    assert "A data loading process died" in error
    assert "Traceback" not in error


def test_another_number_of_processes_is_refused(tmp_path):
    class Two:
        world_size = 2

    with pytest.raises(ZooError, match=r"was trained by 1 processes, but there are 2 here"):
        StepCheckpoint(tmp_path, 1.0).on_load_checkpoint(Two(), None, {"zoo": {"ranks": 1, "round_due": False}})


def test_a_damaged_checkpoint_is_refused(tmp_path):
    with kill_at("on_train_batch_start", 3):
        train(tiny_plan("segmenter", CLIPS), tmp_path)
    (tmp_path / "last.ckpt").write_bytes((tmp_path / "last.ckpt").read_bytes()[:5000])
    with pytest.raises(ZooError, match=r"last.ckpt cannot be read as a checkpoint"):
        resume_training(tmp_path)


# -------------------------------------------------------------------- metrics.csv


def test_rows_after_a_checkpoint_are_dropped_on_resuming(tmp_path):
    file = MetricsCsvLogger(tmp_path / "m.csv")
    file.log_metrics({"a": 1.5}, 2)
    file.log_metrics({"b": 2.5}, 4)
    file.log_metrics({"a": 3.5, "c": 0.25}, 6)
    assert (tmp_path / "m.csv").read_text().splitlines() == ["a,step,b,c", "1.5,2,,", ",4,2.5,", "3.5,6,,0.25"]
    with (tmp_path / "m.csv").open("a") as out:
        out.write("4.5,8")  # truncated
    kept = MetricsCsvLogger(tmp_path / "m.csv", keep=2)
    assert kept.rows == 2
    kept.log_metrics({"a": 3.5}, 6)
    assert (tmp_path / "m.csv").read_text().splitlines() == ["a,step,b", "1.5,2,", ",4,2.5", "3.5,6,"]
    assert MetricsCsvLogger(tmp_path / "m.csv").rows == 0  # a new training starts with an empty file


def test_a_checkpoint_of_weights_cannot_be_resumed(tmp_path):
    with kill_at("on_train_batch_start", 3):
        train(tiny_plan("segmenter", CLIPS), tmp_path)
    weights = read_checkpoint(tmp_path / "last.ckpt")
    del weights["zoo"], weights["contents"]
    torch.save(weights, tmp_path / "last.ckpt")
    with pytest.raises(ZooError, match=r"contains only weights"):
        resume_training(tmp_path)
