"""Run one training in its run folder, from the lock to the outcome, for `python -m zoo.train` and `zoo.fit`."""

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
from zoo.training.failures import explain_failures
from zoo.training.plan import Plan, plan
from zoo.training.resume import check_resumable, extend, load_resumed, typed_besides_resume


@dataclass(frozen=True)
class FinishedRun:
    """A training that has finished."""

    folder: Path
    """Its run folder."""

    metrics: dict[str, float]
    """Metrics of the last round by key; empty in processes other than the main one."""

    plan: Plan | None = None
    """What was trained; None for a training that had finished before."""


def run_training(config: DictConfig, folder: Path, overrides: Sequence[str]) -> FinishedRun:
    """Train with the settings in ``config``, or resume the training in ``folder``.

    overrides: those that the user typed; a resumed training accepts only a few. Raises ZooError for invalid settings,
    before the folder is touched, and Stopped after a signal, when a checkpoint is saved.
    """
    resumes = bool(config.resume) or (was_restarted() and (folder / CONFIG).is_file())
    if resumes:
        check_resumable(folder)
    planned = None if resumes else plan(config)
    with explain_failures(folder), locked(folder) if is_main_process() else nullcontext():
        start = None
        if planned is None:
            typed = overrides if config.resume else ()
            outcome = read_outcome(folder)
            if outcome and not typed_besides_resume(typed):
                return FinishedRun(folder, outcome["metrics"])
            settings, start = load_resumed(folder, config, typed)
            planned = plan(settings)
            if not extend(folder, typed, settings) and outcome:
                return FinishedRun(folder, outcome["metrics"])
        elif is_main_process():
            clear_run_folder(folder, config.overwrite)
        import_lightning()
        from zoo.training.trainer import train  # imports torch

        metrics = train(planned, folder, start)
        if is_main_process():
            from zoo.visualization.curves import draw_curves

            draw_curves(folder / METRICS, folder / CURVES)
            write_outcome(folder, metrics, planned.objective)
    return FinishedRun(folder, metrics, planned)
