"""Where numbers go: always to CSV, and to wandb, which never stops or delays a run by more than seconds."""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from contextlib import redirect_stderr
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from zoo.runs.csv_logger import MetricsFile
from zoo.runs.files import CLIPS, CLOCK, CONFIG, INDEX, METRICS, RESULTS, wandb_run
from zoo.settings import Train

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run

KEPT = (CONFIG, RESULTS, METRICS, f"{CLIPS}/{INDEX}", f"{CLIPS}/*/*.mp4")
"""The files of a run folder that wandb keeps: what `zoo.compare` needs where there is no run folder."""
PATIENCE = 5  # seconds; wandb takes about ten more of its own before it gives up


def build_loggers(settings: Train, config: dict[str, Any], run: Path, rows: int = 0) -> list[Logger]:
    """The loggers of a run: ``metrics.csv`` in its folder, of which ``rows`` are kept, and wandb unless it is off."""
    loggers: list[Logger] = [MetricsFile(run / METRICS, keep=rows)]
    if settings.logger.wandb != "disabled":
        loggers.append(Wandb(description(settings, config, run), settings.logger.wandb))
    return loggers


class Wandb(Logger):
    """The run of wandb that a training is logged to, on the first rank. It is opened when it is first used.

    Lightning's own opens it before the first step, and importing wandb and starting its process take a second and a
    half.
    """

    def __init__(self, description: dict[str, Any], mode: str) -> None:
        super().__init__()
        self.description, self.mode = description, mode

    @cached_property
    def run(self) -> Run:
        """wandb's own object."""
        return _open(self.description, self.mode)

    @property
    def name(self) -> str:
        """Lightning asks for it."""
        return "wandb"

    @property
    def version(self) -> str:
        """Lightning asks for it."""
        return ""

    @property
    def is_open(self) -> bool:
        """Whether it was used."""
        return "run" in self.__dict__

    @rank_zero_only
    def open(self) -> None:
        """Open it now, unless it is."""
        _ = self.run

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """They stand in the description."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a row; among the metrics is the clock."""
        self.run.log({**metrics, "trainer/global_step": step})


def description(settings: Train, config: dict[str, Any], run: Path) -> dict[str, Any]:
    """What `wandb.init` is told of a training."""
    return {
        "project": settings.logger.project,
        "group": settings.logger.group or settings.data.name,
        "job_type": "train",
        "name": f"{settings.model.name}-s{settings.seed}",
        "tags": [settings.model.name, settings.data.name],
        "config": config,
        "dir": str(run),
        "id": before.id if (before := wandb_run(run)) else None,
        "resume": "allow",
    }


def _open(description: dict[str, Any], mode: str) -> Run:
    """Open a wandb run: online where asked or where a key is at hand, offline where the server does not answer."""
    import wandb

    run = None
    if mode == "online" or (mode == "auto" and has_key()):
        try:
            patient = wandb.Settings(init_timeout=PATIENCE, silent=True)
            run = wandb.init(mode="online", settings=patient, **description)
        except wandb.errors.Error as problem:
            rank_zero_warn(
                f"wandb did not answer ({problem}); this run is logged offline. "
                "Later: wandb sync <run>/wandb/offline-run-*"
            )
    run = run or wandb.init(mode="offline", settings=wandb.Settings(silent=True), **description)
    _set_axis(run)
    return run


def _set_axis(run: Run) -> None:
    run.define_metric(CLOCK)
    run.define_metric("*", step_metric=CLOCK)


def close_loggers(loggers: list[Logger], run: Path) -> None:
    """Write what is still in memory, which wandb would do only when the process ends, and give wandb the files of the
    run folder that `zoo.compare` needs."""
    for logger in loggers:
        if isinstance(logger, Wandb) and logger.is_open:
            keep_files(logger, run)
            logger.run.finish()


def keep_files(logger: Wandb, run: Path) -> None:
    """Under the name of the run folder."""
    with redirect_stderr(StringIO()):  # it would tell the user how many files it linked
        for pattern in KEPT:
            if any(run.glob(pattern)):
                logger.run.save(str(run / pattern), base_path=str(run.parent), policy="now")


def log_evaluation(run: Path, project: str, seen: int, figures: Mapping[str, float]) -> None:
    """Add an evaluation, figures by key, to the wandb run of its training, and its lines of ``results.jsonl``: where
    the training was logged online and a key is at hand. A server that does not answer costs seconds, and no number.

    An offline run is left alone: wandb cannot go on with it before it is synced.
    """
    there = wandb_run(run)
    if there is None or not there.online or not has_key():
        return
    import wandb

    patience: dict[str, Any] = {"init_timeout": PATIENCE}
    if "finish_timeout" in wandb.Settings.model_fields:  # not in older ones
        patience["finish_timeout"] = PATIENCE
    try:
        settings = wandb.Settings(silent=True, **patience)
        opened = wandb.init(mode="online", id=there.id, resume="must", project=project, dir=str(run), settings=settings)
        _set_axis(opened)
        opened.log({CLOCK: seen, **figures})
        with redirect_stderr(StringIO()):
            opened.save(str(run / RESULTS), base_path=str(run.parent), policy="now")
        opened.finish()
    except Exception as problem:  # whatever goes wrong there, the measurement is made and kept
        rank_zero_warn(f"The evaluation is in {run / RESULTS}; wandb did not take it ({problem}).")


def has_key() -> bool:
    """Whether wandb could log in without asking: a key in the environment or in the user's netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].split("/")[0]
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
