"""wandb's environment variables count where nothing was typed, and no failure in wandb ends a training."""

import warnings
from types import SimpleNamespace

import pytest

from zoo import ZooError
from zoo.runs.files import CLOCK, WandbRun, offline_folders, wandb_run
from zoo.runs.wandb_logger import (
    VARIABLES,
    LazyWandbLogger,
    build_loggers,
    note_folder,
    wandb_arguments,
    wandb_mode,
)
from zoo.settings import Logger
from zoo.testing.rerun import tiny_plan
from zoo.training.preflight import check


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in (*VARIABLES.values(), "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def planned():
    return tiny_plan("vid2vid", 4)


def arguments(planned, run, **logger):
    planned.settings.logger = Logger("offline", **logger)
    return wandb_arguments(planned.settings, {}, run)


def test_what_was_typed_wins_over_the_environment_which_wins_over_defaults(planned, tmp_path, monkeypatch):
    run = tmp_path / "vid2vid-puppets-s1-20260101-000000"
    found = arguments(planned, run)
    assert found["project"] == "zoo"
    assert found["group"] == "puppets"
    assert found["tags"] == ["vid2vid", "puppets"]
    assert found["name"] == "vid2vid-puppets-s1-w8-20260101-000000"
    assert not {"entity", "notes"} & set(found)
    assert arguments(planned, tmp_path / "sweep-ab/3")["name"] == "vid2vid-puppets-s1-w8-sweep-ab/3"
    for name in VARIABLES.values():
        monkeypatch.setenv(name, "mine")
    assert not set(VARIABLES) & set(arguments(planned, run))  # wandb itself reads them
    typed = {"entity": "me", "project": "p", "group": "g", "name": "n", "tags": ["a"], "notes": "why"}
    assert arguments(planned, run, **typed).items() >= typed.items()


def test_wandb_dir_wins_over_the_run_folder_which_names_the_folder(planned, tmp_path, monkeypatch):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere/wandb/offline-run-20260101_000000-abc"
    assert arguments(planned, run)["dir"] == str(run)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "elsewhere"))
    assert "dir" not in arguments(planned, run)
    opened = SimpleNamespace(dir=f"{elsewhere}/files", disabled=False)
    monkeypatch.setattr("zoo.runs.wandb_logger._open", lambda *_: opened)
    LazyWandbLogger({}, "offline", run).open()
    assert wandb_run(run) == WandbRun("abc", online=False)
    inner = run / "wandb/offline-run-20260102_000000-abc"
    inner.mkdir()
    note_folder(run, inner)  # in its place already
    assert offline_folders(run) == [elsewhere, inner]
    assert inner.is_dir()


def test_the_mode_of_the_environment_counts_for_auto(planned, tmp_path, monkeypatch):
    assert [wandb_mode(mode) for mode in ("auto", "online")] == ["auto", "online"]
    for mode in ("offline", "disabled", "online"):
        monkeypatch.setenv("WANDB_MODE", mode)
        assert [wandb_mode(typed) for typed in ("auto", "offline")] == [mode, "offline"]
    monkeypatch.setenv("WANDB_MODE", "disabled")
    planned.settings.logger = Logger("auto")
    assert len(build_loggers(planned.settings, {}, tmp_path)) == 1


@pytest.mark.parametrize(
    ("logger", "message"),
    [
        ({"project": "me/zoo"}, r"contains no /\. Try: logger.entity=me logger.project=zoo"),
        ({"project": "a?b#"}, r"contains no # \?\. Try: logger.project=zoo"),
        ({"group": "g" * 129}, r"logger.group has 129 characters, but wandb allows at most 128"),
    ],
)
def test_names_that_wandb_refuses_are_refused_before_the_training(planned, logger, message):
    planned.settings.logger = Logger("offline", **logger)
    with pytest.raises(ZooError, match=message):
        check(planned.card, planned.spec, planned.settings)


def test_rows_are_numbered_by_clips_seen_so_that_parts_of_a_run_share_none():
    logged = []
    logger = LazyWandbLogger({}, "offline")
    logger.__dict__["run"] = SimpleNamespace(log=lambda values, step: logged.append((values, step)))
    logger.log_metrics({"loss": 1.0, CLOCK: 12.0}, 3)
    assert logged == [({"loss": 1.0, CLOCK: 12.0, "trainer/global_step": 3}, 12)]


def test_a_failure_of_wandb_is_said_once_and_ends_only_the_logging():
    calls = []

    def fail(*_, **__):
        calls.append(1)
        raise BrokenPipeError("the service process died\nwith details")

    logger = LazyWandbLogger({}, "offline")
    logger.__dict__["run"] = SimpleNamespace(log=fail)
    with pytest.warns(UserWarning, match=r"no longer logged to it: the service process died\. metrics.csv has every"):
        logger.log_metrics({CLOCK: 2}, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.log_metrics({CLOCK: 4}, 2)
        logger.open()
    assert len(calls) == 1


def test_a_run_that_cannot_be_opened_is_a_failure_of_wandb(monkeypatch):
    monkeypatch.setattr("zoo.runs.wandb_logger._open", lambda *_: (_ for _ in ()).throw(OSError("read-only home")))
    logger = LazyWandbLogger({}, "offline")
    with pytest.warns(UserWarning, match="read-only home"):
        logger.open()
