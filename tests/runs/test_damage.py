"""A full disk, damaged small files, a start that was cut short: an error message or a repair, never a stack trace."""

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import DictConfig
from torch import nn

from zoo import ZooError
from zoo.callbacks.gallery import Gallery
from zoo.callbacks.non_finite import find_broken_weights
from zoo.data.decode import probe, write_video
from zoo.devices.sharded_checkpoint import read_sharded
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import Result, add_line, read_results, repair_results
from zoo.io.atomic import write_atomically
from zoo.runs.files import wandb_run
from zoo.runs.load import read_checkpoint
from zoo.runs.lock import clear_run_folder
from zoo.runs.outcome import read_outcome, readable_outcome, write_outcome
from zoo.runs.provenance import note_resumption
from zoo.sweep.jobs import FAILED, Job, read_record
from zoo.sweep.processes import start_job
from zoo.testing.kills import CLIPS, kill_at
from zoo.testing.rerun import differing_files, resume_training, tiny_plan
from zoo.training.resume import check_resumable
from zoo.training.session import run_training
from zoo.training.trainer import train

DEEP = "[" * 200_000
LINE = Result(4, "generate", "nothing", {"fvd": 1.5}, Protocol("puppets", "val", 8, 4, 1, 8.0, 32, 32, 0), {}).line()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    """A training that was stopped after its fifth step."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    with kill_at("on_train_batch_start", 6):
        train(tiny_plan("segmenter", CLIPS), run)
    return run


@pytest.fixture
def run(stopped, tmp_path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "run"))


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond ``size`` bytes, which behaves as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# ---------------------------------------------------------------- non-finite weights


def test_a_non_finite_weight_is_never_saved_over_a_good_one(run):
    """The loss is finite in the step that breaks the weights."""
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    for group in checkpoint["optimizer_states"][0]["param_groups"]:
        group["lr"] = group["initial_lr"] = 1e39  # infinite in single precision
    checkpoint["lr_schedulers"][0]["base_lrs"] = [1e39]
    torch.save(checkpoint, run / "last.ckpt")
    message = r"became NaN or infinite (by|at) 1\d clips.*The last good checkpoint is .*last\.ckpt"
    with pytest.raises(ZooError, match=message):
        resume_training(run)
    kept = read_checkpoint(run / "last.ckpt")
    assert kept["clips_seen"] == 10
    assert all(weight.isfinite().all() for weight in kept["state_dict"].values())


def test_parameters_optimizers_and_buffers_are_looked_at():
    """A buffer may be infinite, as a mask is; a parameter may not."""
    network = nn.BatchNorm1d(2)
    network.device = torch.device("cpu")
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(4, 2)).sum().backward()
    optimizer.step()

    def found() -> list[str]:
        states = [optimizer.state_dict()]
        return find_broken_weights(network, {"state_dict": network.state_dict(), "optimizer_states": states})

    assert found() == []
    network.running_mean[0] = float("-inf")
    assert found() == []
    network.running_mean[0] = float("nan")
    assert found() == ["`running_mean`"]
    with torch.no_grad():
        network.bias[1] = float("inf")
    optimizer.state[network.weight]["exp_avg"][0] = float("nan")
    assert found() == ["`bias`", "`running_mean`", "the optimizer's `0.state.0.exp_avg`"]


# ---------------------------------------------------------------- a full disk


def test_a_full_disk_ends_with_the_promised_error_everywhere(run, tmp_path):
    """Whatever does not fit: the lock, environment.json, metrics.csv, results.jsonl, films, checkpoints. Afterwards the
    training resumes and ends as one with room."""
    size = (run / "last.ckpt").stat().st_size
    for limit in (5, 300, 1500, 3000, size // 3, size - 1):
        with largest_file(limit), pytest.raises(ZooError, match=r"File too large.*[Rr]esume|File too large.*runs="):
            run_training(DictConfig({"resume": str(run), "overwrite": False}), run, [f"resume={run}"])
    train(tiny_plan("segmenter", CLIPS), tmp_path / "whole")
    run_training(DictConfig({"resume": str(run), "overwrite": False}), run, [f"resume={run}"])
    assert differing_files(run, tmp_path / "whole") == []
    assert read_outcome(run)["finished"]


def test_the_cause_of_a_failed_write_is_not_hidden(tmp_path):
    """torch turns the OSError into a RuntimeError."""
    tensors = {str(i): torch.zeros(3000) for i in range(40)}
    for limit in (1000, 100_000, 450_000):
        with largest_file(limit), pytest.raises(OSError, match="File too large") as problem:
            write_atomically(tmp_path / "a.pt", lambda out: torch.save(tensors, out))
        assert problem.value.filename == str(tmp_path / "a.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_film_that_does_not_fit_is_an_error_and_leaves_the_old_one(tmp_path):
    noise = torch.randint(0, 255, (20, 64, 64, 3), dtype=torch.uint8).numpy()
    write_video(tmp_path / "a.mp4", noise[:2], 8.0)
    for limit in (10, 20_000):
        with largest_file(limit), pytest.raises(OSError, match="File too large"):
            write_video(tmp_path / "a.mp4", noise, 8.0)
    assert probe(tmp_path / "a.mp4").frames == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


# ---------------------------------------------------------------- results.jsonl


def test_half_a_line_is_not_left_and_not_kept(tmp_path):
    file = tmp_path / "results.jsonl"
    add_line(file, LINE)
    with largest_file(len(LINE) + 70), pytest.raises(OSError, match="File too large"):
        add_line(file, LINE)
    assert file.read_text() == LINE + "\n"
    for tail in (LINE[:70], LINE[:1], LINE[:-1], "\0" * 50):
        file.write_text(f"{LINE}\n{tail}")
        add_line(file, LINE)
        assert file.read_text() == f"{LINE}\n{LINE}\n", tail
    file.write_text(LINE)  # only its line feed is missing
    add_line(file, LINE)
    assert file.read_text() == f"{LINE}\n{LINE}\n"


@pytest.mark.parametrize("length", range(1, len(LINE), 7))
def test_a_line_cut_anywhere_is_removed(length, tmp_path):
    file = tmp_path / "results.jsonl"
    file.write_text(f"{LINE}\n{LINE[:length]}")
    repair_results(tmp_path)
    assert file.read_text() == LINE + "\n"
    file.write_text(f"{LINE[:length]}\n{LINE}\n")  # a line was added after it
    repair_results(tmp_path)
    assert len(read_results(tmp_path)) == 1


def test_other_damage_is_left_for_the_user(tmp_path):
    file = tmp_path / "results.jsonl"
    for text in (f"{LINE}\n", f"{LINE.replace(':', ';')}\n{LINE}\n", f"notes\n{LINE}\n", "", f"{LINE}\n\n"):
        file.write_text(text)
        repair_results(tmp_path)
        assert file.read_text() == text


def test_a_training_with_half_a_line_in_results_finishes(run, tmp_path):
    with (run / "results.jsonl").open("a") as file:
        file.write((run / "results.jsonl").read_text()[:70])
    resume_training(run)
    assert [result.seen for result in read_results(run)] == [6, 12, 14]


# ---------------------------------------------------------------- a start that was cut short


def test_a_folder_that_was_only_begun_is_begun_anew(tmp_path):
    for name in ("command.txt", "environment.json"):
        (tmp_path / name).write_text("{}")
        with pytest.raises(ZooError, match=r"was stopped while it began. Start it again .* hydra.run.dir="):
            check_resumable(tmp_path)
        clear_run_folder(tmp_path, overwrite=False)
        assert not (tmp_path / name).exists()
        (tmp_path / "command.txt").write_text("python -m zoo.train\n")
    (tmp_path / "last.ckpt").write_text("")
    with pytest.raises(ZooError, match=r"already contains a run: command.txt, last.ckpt"):
        clear_run_folder(tmp_path, overwrite=False)


def test_the_index_of_clips_is_whole_or_as_before(tmp_path, monkeypatch):
    gallery = Gallery(tmp_path, 1, 8.0, paired=False)
    gallery.keys, gallery.films = ["a"], [{"real": torch.zeros(2, 3, 16, 16, dtype=torch.uint8)}]
    gallery._write_clips()
    before = (tmp_path / "clips/index.json").read_text()
    gallery.keys = ["b"]
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        gallery._write_clips()
    assert (tmp_path / "clips/index.json").read_text() == before


# ---------------------------------------------------------------- small files that are damaged

BAD_JSON = {"empty": "", "a list": "[1]", "deep": DEEP, "cut": '{"metrics": {"a": 1', "large": " " * (1 << 23)}


@pytest.mark.parametrize("text", [*BAD_JSON.values(), '{"metrics": 3}', '{"metrics": {"a": "b"}, "value": 1}'])
def test_a_damaged_outcome_is_an_error_that_says_what_to_type(text, tmp_path):
    write_outcome(tmp_path, {"val/l1": 0.5, "val/fvd": float("nan")}, None)
    assert read_outcome(tmp_path)["metrics"]["val/l1"] == 0.5
    (tmp_path / "outcome.json").write_text(text)
    with pytest.raises(ZooError, match=r"outcome.json cannot be read: .* rm .*outcome.json && python -m zoo.train res"):
        read_outcome(tmp_path)
    assert readable_outcome(tmp_path) is None


@pytest.mark.parametrize("text", [*BAD_JSON.values(), '{"resumed": 3}'])
def test_a_damaged_environment_is_an_error_and_a_missing_one_is_begun(text, tmp_path):
    (tmp_path / "environment.json").write_text(text)
    with pytest.raises(ZooError, match=r"environment.json cannot be read: .* Delete it, and resume again"):
        note_resumption(tmp_path, 4, 14)
    (tmp_path / "environment.json").unlink()
    note_resumption(tmp_path, 4, 14)
    note_resumption(tmp_path, 6, 14)
    resumed = json.loads((tmp_path / "environment.json").read_text())["resumed"]
    assert [each["seen/clips"] for each in resumed] == [4, 6]
    assert len((tmp_path / "command.txt").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "text", [*BAD_JSON.values(), *('{"files": ' + names for names in ('["../a"]}', "[]}", "[1]}"))]
)
def test_a_damaged_index_of_shards_is_an_error(text, tmp_path):
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(ZooError, match=r"index\.json"):
        read_sharded(tmp_path)


@pytest.mark.parametrize("text", [b"", b"x", b"a/b", b"a/b/c/d", b"\xff/\x1b/c", b"a//c"])
def test_a_damaged_name_of_a_wandb_run_is_an_error(text, tmp_path):
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb/fetched.txt").write_bytes(text)
    with pytest.raises(ZooError, match=r"fetched.txt cannot be read: <entity>/<project>/<id>"):
        wandb_run(tmp_path)


@pytest.mark.parametrize("text", [*BAD_JSON.values(), '{"session": 1}'])
def test_a_damaged_record_of_a_job_does_not_stop_a_sweep(text, tmp_path, run):
    """A job without a run starts; the settings of a run are those in its config.yaml."""
    empty = Job("now", tmp_path / "0", ("seed=1",), settings={"seed": 1})
    empty.folder.mkdir()
    (empty.folder / "job.json").write_text(text)
    assert empty.arguments() == ["seed=1", f'hydra.run.dir="{empty.folder}"']
    settings = yaml.safe_load((run / "config.yaml").read_text())
    job = Job("now", run, ("seed=1",), settings=settings)
    (run / "job.json").write_text(text)
    assert job.arguments()[0] == f'resume="{run}"'
    other = Job("now", run, ("seed=1",), settings=settings | {"seed": 7})
    with pytest.raises(ZooError, match="contains a run with other settings: `seed`"):
        other.arguments()
    job.write_record("running")
    assert asdict(read_record(run)) == asdict(read_record(run)) | {"settings": settings, "state": "running"}


def test_a_damaged_outcome_fails_one_job_of_a_sweep(run):
    settings = yaml.safe_load((run / "config.yaml").read_text())
    job = Job("now", run, (), settings=settings)
    (run / "outcome.json").write_text("")
    record = {"session": "", "overrides": [], "settings": settings, "state": "done", "sentence": ""}
    (run / "job.json").write_text(json.dumps(record))
    assert start_job(job, {}, shown=False) is None
    record = read_record(run)
    assert (record.state, job.objective) == (FAILED, None)
    assert "outcome.json cannot be read: it is empty. Delete it" in record.sentence
    assert read_checkpoint(run / "last.ckpt")["clips_seen"] == 10
