"""Loggers of a run: metrics.csv always, and wandb, which delays a training by seconds at most and never stops it."""

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

from zoo.runs.csv_logger import MetricsCsvLogger
from zoo.runs.files import CLIPS, CLOCK, CONFIG, INDEX, METRICS, RESULTS, wandb_run
from zoo.runs.trust import is_own
from zoo.settings import Train

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run

UPLOADED = (CONFIG, RESULTS, METRICS, f"{CLIPS}/{INDEX}", f"{CLIPS}/*/*.mp4")
"""Files of a run folder that are uploaded to wandb: what `zoo.compare` needs without the run folder."""
TIMEOUT = 5  # seconds; wandb adds about ten of its own before it gives up


def build_loggers(settings: Train, config: dict[str, Any], run: Path, rows: int = 0) -> list[Logger]:
    """Build the loggers of a run: ``metrics.csv``, of which ``rows`` rows are kept, and wandb unless it is disabled."""
    loggers: list[Logger] = [MetricsCsvLogger(run / METRICS, keep=rows)]
    if settings.logger.wandb != "disabled":
        loggers.append(LazyWandbLogger(wandb_arguments(settings, config, run), settings.logger.wandb))
    return loggers


class LazyWandbLogger(Logger):
    """Logs a training to wandb, on the main process. The wandb run is opened on first use.

    Lightning's own logger opens it before the first step, and importing wandb and starting its process take 1.5 s.

    arguments: of ``wandb.init``. mode: auto, online or offline.
    """

    def __init__(self, arguments: dict[str, Any], mode: str) -> None:
        super().__init__()
        self.arguments, self.mode = arguments, mode

    @cached_property
    def run(self) -> Run:
        """The run object of wandb; opened on first access."""
        return _open(self.arguments, self.mode)

    @property
    def name(self) -> str:
        """Required by Lightning."""
        return "wandb"

    @property
    def version(self) -> str:
        """Required by Lightning."""
        return ""

    @property
    def is_open(self) -> bool:
        """Whether the wandb run has been opened."""
        return "run" in self.__dict__

    @rank_zero_only
    def open(self) -> None:
        """Open the wandb run unless it is open."""
        _ = self.run

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: hyperparameters are among the arguments of ``wandb.init``."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log a row; the metrics include the clips seen."""
        self.run.log({**metrics, "trainer/global_step": step})


def wandb_arguments(settings: Train, config: dict[str, Any], run: Path) -> dict[str, Any]:
    """Arguments of `wandb.init` for a training."""
    return {
        "project": settings.logger.project,
        "group": settings.logger.group or settings.data.name,
        "job_type": "train",
        "name": f"{settings.model.name}-s{settings.seed}",
        "tags": [settings.model.name, settings.data.name],
        "config": config,
        "dir": str(run),
        "id": previous.id if (previous := wandb_run(run)) and is_own(run) else None,
        "resume": "allow",
    }


def _open(arguments: dict[str, Any], mode: str) -> Run:
    """Open a wandb run: online if requested or if an API key is available, offline if the server does not answer."""
    import wandb

    run = None
    if mode == "online" or (mode == "auto" and has_key()):
        try:
            settings = wandb.Settings(init_timeout=TIMEOUT, silent=True)
            run = wandb.init(mode="online", settings=settings, **arguments)
        except wandb.errors.Error as problem:
            rank_zero_warn(
                f"wandb did not answer ({problem}); this run is logged offline. "
                "To upload it later: wandb sync <run>/wandb/offline-run-*"
            )
    run = run or wandb.init(mode="offline", settings=wandb.Settings(silent=True), **arguments)
    _set_axis(run)
    return run


def _set_axis(run: Run) -> None:
    run.define_metric(CLOCK)
    run.define_metric("*", step_metric=CLOCK)


def close_loggers(loggers: list[Logger], run: Path) -> None:
    """Upload the files of the run folder that `zoo.compare` needs, and finish the wandb run.

    wandb would otherwise flush what is in memory only when the process ends.
    """
    for logger in loggers:
        if isinstance(logger, LazyWandbLogger) and logger.is_open:
            upload_files(logger, run)
            logger.run.finish()


def upload_files(logger: LazyWandbLogger, run: Path) -> None:
    """Upload files under the name of the run folder."""
    with redirect_stderr(StringIO()):  # wandb prints how many files it linked
        for pattern in UPLOADED:
            if any(run.glob(pattern)):
                logger.run.save(str(run / pattern), base_path=str(run.parent), policy="now")


def log_evaluation(
    run: Path, project: str, seen: int, metrics: Mapping[str, float], images: Mapping[str, Path] | None = None
) -> None:
    """Log the metrics and plots of an evaluation, by key, to the wandb run of its training; upload ``results.jsonl``.

    Does nothing unless the run is the user's own, was logged online, and an API key is available: wandb cannot resume
    an offline run before it is synced. A server that does not answer costs seconds, and no result.
    """
    existing = wandb_run(run)
    if existing is None or not existing.online or not has_key() or not is_own(run):
        return
    import wandb

    timeouts: dict[str, Any] = {"init_timeout": TIMEOUT}
    if "finish_timeout" in wandb.Settings.model_fields:  # older versions have none
        timeouts["finish_timeout"] = TIMEOUT
    try:
        settings = wandb.Settings(silent=True, **timeouts)
        opened = wandb.init(
            mode="online", id=existing.id, resume="must", project=project, dir=str(run), settings=settings
        )
        _set_axis(opened)
        plots = {key: wandb.Image(str(path)) for key, path in (images or {}).items()}
        opened.log({CLOCK: seen, **metrics, **plots})
        with redirect_stderr(StringIO()):
            opened.save(str(run / RESULTS), base_path=str(run.parent), policy="now")
        opened.finish()
    except Exception as problem:  # whatever fails in wandb, the results are on disk
        rank_zero_warn(f"The results are in {run / RESULTS}, but logging them to wandb failed: {problem}")


def has_key() -> bool:
    """Whether wandb can log in without a prompt: an API key in the environment or in the user's netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].split("/")[0]
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
