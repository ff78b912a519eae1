"""Loggers of a run: metrics.csv always, and wandb, which delays a training by seconds at most and never stops it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from functools import cached_property, partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from zoo.io.atomic import write_text
from zoo.io.own_files import inside
from zoo.runs.csv_logger import MetricsCsvLogger
from zoo.runs.files import CLIPS, CLOCK, CONFIG, INDEX, METRICS, RESULTS, WANDB, wandb_run
from zoo.runs.trust import is_own
from zoo.runs.wandb_import import import_wandb
from zoo.settings import Train

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run

UPLOADED = (CONFIG, RESULTS, METRICS, f"{CLIPS}/{INDEX}", f"{CLIPS}/*/*.mp4")
"""Files of a run folder that are uploaded to wandb: what `zoo.compare` needs without the run folder."""
MAX_LETTERS = 128  # of a name, a group or a project in wandb
TIMEOUT = 5  # seconds; wandb adds about ten of its own before it gives up


def build_loggers(settings: Train, config: dict[str, Any], run: Path, rows: int = 0) -> list[Logger]:
    """Build the loggers of a run: ``metrics.csv``, of which ``rows`` rows are kept, and wandb unless it is disabled."""
    loggers: list[Logger] = [MetricsCsvLogger(run / METRICS, keep=rows)]
    if wandb_mode(settings.logger.wandb) != "disabled":
        loggers.append(LazyWandbLogger(wandb_arguments(settings, config, run), settings.logger.wandb, run))
    return loggers


class LazyWandbLogger(Logger):
    """Logs a training to wandb, on the main process. The wandb run is opened on first use.

    Lightning's own logger opens it before the first step, and importing wandb and starting its process take 1.5 s.

    Whatever fails in wandb is said once, and ends only the logging to wandb: its process may die, its folders may be
    read-only, its server may refuse.

    arguments: of ``wandb.init``. mode: auto, online or offline. folder: the run folder, which names wandb's.
    """

    def __init__(self, arguments: dict[str, Any], mode: str, folder: Path | None = None) -> None:
        super().__init__()
        self.arguments, self.mode, self.folder = arguments, mode, folder
        self.failed = False

    @cached_property
    def run(self) -> Run:
        """The run object of wandb; opened on first access."""
        opened = _open(self.arguments, self.mode)
        if self.folder and not opened.disabled:
            note_folder(self.folder, Path(opened.dir).parent)
        return opened

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
        self.use(lambda run: None)

    def use(self, action: Callable[[Run], object]) -> None:
        """Do something with the wandb run, which is opened first; nothing after a call has failed."""
        if self.failed:
            return
        try:
            action(self.run)
        except Exception as problem:  # wandb raises errors of many kinds
            self.failed = True
            found = str(problem).strip().partition("\n")[0] or type(problem).__name__
            rank_zero_warn(
                f"wandb failed, so this training is no longer logged to it: {found}. {METRICS} has every row."
            )

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: hyperparameters are among the arguments of ``wandb.init``."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log a row; the metrics include the clips seen."""
        self.log({**metrics, "trainer/global_step": step})

    def log(self, values: Mapping[str, Any]) -> None:
        """Log values, among them the clips seen, which number the rows: parts of a resumed training share no number."""
        step = int(values[CLOCK]) if CLOCK in values else None
        self.use(lambda run: run.log(dict(values), step=step))


VARIABLES = {
    "entity": "WANDB_ENTITY",
    "project": "WANDB_PROJECT",
    "group": "WANDB_RUN_GROUP",
    "name": "WANDB_NAME",
    "tags": "WANDB_TAGS",
    "notes": "WANDB_NOTES",
}
"""Settings of the logger -> wandb's environment variables, which count where nothing was typed."""


def wandb_mode(typed: str) -> str:
    """The mode as typed; for auto that of WANDB_MODE, if it is set."""
    variable = os.environ.get("WANDB_MODE", "")
    return variable if typed == "auto" and variable in ("online", "offline", "disabled") else typed


def wandb_arguments(settings: Train, config: dict[str, Any], run: Path) -> dict[str, Any]:
    """Arguments of `wandb.init` for a training: what was typed, else wandb's environment variables, else defaults."""
    defaults = {
        "project": "zoo",
        "group": settings.data.name,
        "name": _run_name(settings, run),
        "tags": [settings.model.name, settings.data.name],
    }
    chosen = {}
    for setting, variable in VARIABLES.items():
        typed = getattr(settings.logger, setting)
        if typed is not None or (setting in defaults and not os.environ.get(variable)):
            chosen[setting] = defaults[setting] if typed is None else typed
    return {
        **chosen,
        "job_type": "train",
        "config": config,
        **wandb_folder(run),
        "id": previous.id if (previous := wandb_run(run)) and is_own(run) else None,
        "resume": "allow",
    }


def wandb_folder(run: Path) -> dict[str, Any]:
    """Argument of `wandb.init` for where its files go: the run folder, unless WANDB_DIR, which wandb reads, says."""
    return {} if os.environ.get("WANDB_DIR") else {"dir": str(run)}


def note_folder(run: Path, folder: Path) -> None:
    """Name the folder of a wandb run in the run folder, if it lies elsewhere, so that a resumed training finds it."""
    if folder.parent.resolve() != (run / WANDB).resolve():
        write_text(inside(run, WANDB, folder.name), f"{folder.absolute()}\n")


def _run_name(settings: Train, run: Path) -> str:
    """Model, data set, seed and width, and what the name of the run folder adds to them."""
    start = f"{settings.model.name}-{settings.data.name}-s{settings.seed}"
    width = getattr(settings.model, "width", None)
    folder = f"{run.parent.name}/{run.name}" if run.name.isdigit() else run.name.removeprefix(start).strip("-")
    return "-".join([start, *([f"w{width}"] if width else []), *([folder] if folder else [])])[:MAX_LETTERS]


def _open(arguments: dict[str, Any], mode: str) -> Run:
    """Open a wandb run: online if requested or if an API key is available, offline if the server does not answer."""
    wandb = import_wandb()
    run, mode = None, wandb_mode(mode)
    if mode == "disabled":
        return wandb.init(mode="disabled", **arguments)
    if mode == "online" or (mode == "auto" and has_key()):
        try:
            settings = wandb.Settings(init_timeout=TIMEOUT, silent=True)
            run = wandb.init(mode="online", settings=settings, **arguments)
        except (wandb.errors.Error, OSError, ValueError) as problem:
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
            logger.use(lambda opened: opened.finish())


def upload_files(logger: LazyWandbLogger, run: Path) -> None:
    """Upload files under the name of the run folder."""
    with redirect_stderr(StringIO()):  # wandb prints how many files it linked
        for pattern in UPLOADED:
            if any(run.glob(pattern)):
                logger.use(partial(_save, path=str(run / pattern), base=str(run.parent)))


def _save(run: Run, path: str, base: str) -> None:
    run.save(path, base_path=base, policy="now")


def log_evaluation(
    run: Path,
    settings: Mapping[str, Any],
    seen: int,
    metrics: Mapping[str, float],
    images: Mapping[str, Path] | None = None,
) -> None:
    """Log the metrics and plots of an evaluation, by key, to the wandb run of its training; upload ``results.jsonl``.

    settings: of the training's logger. Does nothing unless the run is the user's own, was logged online, and an API key
    is available: wandb cannot resume an offline run before it is synced. A server that does not answer costs seconds,
    and no result.
    """
    existing = wandb_run(run)
    if existing is None or not existing.online or not has_key() or not is_own(run):
        return
    if wandb_mode("auto") in ("offline", "disabled"):
        return
    wandb = import_wandb()
    timeouts: dict[str, Any] = {"init_timeout": TIMEOUT}
    if "finish_timeout" in wandb.Settings.model_fields:  # older versions have none
        timeouts["finish_timeout"] = TIMEOUT
    try:
        place: dict[str, Any] = {name: settings[name] for name in ("entity", "project") if settings.get(name)}
        wandb_settings = wandb.Settings(silent=True, **timeouts)
        opened = wandb.init(
            mode="online",
            id=existing.id,
            resume="must",
            settings=wandb_settings,
            **place,
            **wandb_folder(run),
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
    """Whether wandb can log in without a prompt: an API key in the environment, or where wandb itself looks for one."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return bool(_stored_key())
    except Exception:  # an unreadable file, or an invalid key
        return False


def _stored_key() -> str | None:
    """The key that `wandb login` has stored for the user's server, found by wandb's own lookup."""
    import_wandb()
    from wandb.sdk import wandb_setup

    settings = wandb_setup.singleton().settings
    try:
        from wandb.sdk.lib.wbauth import read_netrc_auth
    except ImportError:  # before wandb 0.23
        from wandb.sdk.lib.apikey import api_key  # type: ignore[import-not-found]

        return api_key(settings)
    return read_netrc_auth(host=settings.base_url)
