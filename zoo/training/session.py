"""One training in its run folder, from the lock to the outcome: what `python -m zoo.train` and `zoo.fit` share."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from zoo.cli import import_lightning
from zoo.devices.launch import is_main_process, was_restarted
from zoo.runs.files import CONFIG, CURVES, METRICS
from zoo.runs.lock import clear_run_folder, locked
from zoo.runs.outcome import read_outcome, write_outcome
from zoo.training.plan import Plan, plan
from zoo.training.resume import check_resumable, resumed


@dataclass(frozen=True)
class FinishedRun:
    """A training that has finished."""

    folder: Path
    """Its run folder."""

    metrics: dict[str, float]
    """Metrics of the last round by key; empty in processes other than the main one."""

    plan: Plan | None = None
    """What was trained; None for a training that had finished before."""


def run_training(config: DictConfig, folder: Path, typed: Sequence[str]) -> FinishedRun:
    """Train as composed in ``config``, or resume the training in ``folder``.

    typed: the overrides that a user typed, of which a training that is resumed accepts only a few. Mistakes raise
    ZooError before the folder is touched. Raises `Stopped` when a signal has ended the training and its state is saved.
    """
    resumes = bool(config.resume) or (was_restarted() and (folder / CONFIG).is_file())
    if resumes:
        check_resumable(folder)
    planned = None if resumes else plan(config)
    with locked(folder) if is_main_process() else nullcontext():
        start = None
        if planned is None:
            if outcome := read_outcome(folder):
                return FinishedRun(folder, outcome["metrics"])
            settings, start = resumed(folder, config, typed if config.resume else ())
            planned = plan(settings)
        elif is_main_process():
            clear_run_folder(folder, config.overwrite)
        import_lightning()
        from zoo.training.trainer import train  # torch comes in here

        metrics = train(planned, folder, start)
        if is_main_process():
            from zoo.visualization.curves import draw_curves

            draw_curves(folder / METRICS, folder / CURVES)
            write_outcome(folder, metrics, planned.objective)
    return FinishedRun(folder, metrics, planned)
