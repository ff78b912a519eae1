"""Where numbers go: always to CSV, and to wandb, which never stops or delays a run by more than seconds."""

from __future__ import annotations

import netrc
import os
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from zoo.errors import one_of
from zoo.metrics_file import MetricsFile
from zoo.settings import Train

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run

CLOCK = "seen/clips"
KEPT = ("config.yaml", "results.jsonl", "metrics.csv", "clips/index.json", "clips/*/*.mp4")
"""The files of a run folder that wandb keeps: what `zoo.compare` needs where there is no run folder."""
PATIENCE = 5  # seconds; wandb takes about ten more of its own before it gives up


def build_loggers(settings: Train, config: dict[str, Any], run: Path, rows: int = 0) -> list[Logger]:
    """The loggers of a run: ``metrics.csv`` in its folder, of which ``rows`` are kept, and wandb unless it is off."""
    one_of("logger.wandb", settings.logger.wandb, ("auto", "online", "offline", "disabled"))
    loggers: list[Logger] = [MetricsFile(run / "metrics.csv", keep=rows)]
    if settings.logger.wandb != "disabled":
        loggers.append(_wandb_logger(settings, config, run))
    return loggers


def _wandb_logger(settings: Train, config: dict[str, Any], run: Path) -> WandbLogger:
    arguments: dict[str, Any] = {
        "project": settings.logger.project,
        "group": settings.logger.group or settings.data.name,
        "job_type": "train",
        "name": f"{settings.model.name}-s{settings.seed}",
        "tags": [settings.model.name, settings.data.name],
        "config": config,
        "dir": str(run),
        "id": run_id(run),
        "resume": "allow",
    }
    opened = _open(arguments, settings.logger.wandb)
    return WandbLogger(experiment=opened) if opened else WandbLogger(offline=True, save_dir=run)


def run_id(run: Path) -> str | None:
    """wandb's name of a run that was logged before, from the folders that wandb keeps: ``…run-<time>-<id>``."""
    folders = sorted(run.glob("wandb/*run-*-*"))
    return folders[-1].name.rpartition("-")[2] if folders else None


@rank_zero_only
def _open(arguments: dict[str, Any], mode: str) -> Run:
    """Open a wandb run: online where asked or where a key is at hand, offline where the server does not answer."""
    import wandb

    run = None
    if mode == "online" or (mode == "auto" and has_key()):
        try:
            patient = wandb.Settings(init_timeout=PATIENCE, silent=True)
            run = wandb.init(mode="online", settings=patient, **arguments)
        except wandb.errors.Error as problem:
            rank_zero_warn(
                f"wandb did not answer ({problem}); this run is logged offline. "
                "Later: wandb sync <run>/wandb/offline-run-*"
            )
    run = run or wandb.init(mode="offline", settings=wandb.Settings(silent=True), **arguments)
    run.define_metric(CLOCK)
    run.define_metric("*", step_metric=CLOCK)
    return run


def close_loggers(loggers: list[Logger], run: Path) -> None:
    """Write what is still in memory, which wandb would do only when the process ends, and give wandb the files of the
    run folder that `zoo.compare` needs."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            keep_files(logger, run)
            logger.experiment.finish()


@rank_zero_only
def keep_files(logger: WandbLogger, run: Path) -> None:
    """Under the name of the run folder."""
    with redirect_stderr(StringIO()):  # it would tell the user how many files it linked
        for pattern in KEPT:
            if any(run.glob(pattern)):
                logger.experiment.save(str(run / pattern), base_path=str(run.parent), policy="now")


def has_key() -> bool:
    """Whether wandb could log in without asking: a key in the environment or in the user's netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].split("/")[0]
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
