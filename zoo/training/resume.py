"""Resume a training: `python -m zoo.train resume=runs/<run>` needs only the run folder.

The settings are those that the run was started with. Only settings that do not change results may be typed again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from zoo.config.overrides import override_key
from zoo.errors import ZooError, joined
from zoo.runs.files import COMMAND, CONFIG, LAST, checkpoint_exists, lost_checkpoint
from zoo.settings import Train

logger = logging.getLogger(__name__)

CHANGEABLE = ("trainer.progress", "data.workers", "logger.wandb", "callbacks.save_minutes")
"""Settings that do not change results."""


@dataclass(frozen=True)
class ResumePoint:
    """Where a training resumes.

    checkpoint: None if the training was stopped before its first one. rows: number of rows of metrics.csv that were
    logged before it.
    """

    checkpoint: Path | None
    clips_seen: int
    rows: int


def check_resumable(run: Path) -> None:
    """Raise ZooError for a folder without a run; cheap, so it comes before the folder is locked."""
    if not (run / CONFIG).is_file() and (run / COMMAND).is_file():
        raise ZooError(
            f"{run} contains no {CONFIG}: the training was stopped while it began. Start it again in this folder, with "
            f"the command in {run / COMMAND} and hydra.run.dir={run}"
        )
    if not (run / CONFIG).is_file():
        raise ZooError(f"{run} contains no {CONFIG}, so there is no training to resume. Try: resume=runs/<run>")


def load_resumed(run: Path, typed: DictConfig, overrides: Sequence[str]) -> tuple[DictConfig, ResumePoint]:
    """The settings of a run, and the point where it resumes.

    overrides: what the user typed. typed: the config that was composed from them.

    Raises ZooError for a checkpoint that is lost, damaged or incomplete, and offers an older one; also for overrides of
    settings that change results.
    """
    from zoo.runs.load import read_config
    from zoo.runs.training_state import older_checkpoint_hint, read_training_state

    for override in overrides:
        key = override_key(override)
        if key not in ("resume", *CHANGEABLE) and not key.startswith("hydra."):
            raise ZooError(
                f"{override}: a training resumes with the settings that it was started with, in {run / CONFIG}. "
                f"Only these may be typed besides resume: {joined(CHANGEABLE)}."
            )
    settings: dict[str, Any] = read_config(run)
    start = ResumePoint(None, 0, 0)
    if lost_checkpoint(run):
        raise ZooError(f"{run / LAST} is missing, though this training wrote it.\n{older_checkpoint_hint(run)}")
    if not checkpoint_exists(run / LAST):
        logger.info(f"{run} has no checkpoint yet, so the training begins anew.")
    else:
        state = read_training_state(run)
        settings["model"] = state["hyper_parameters"]["model"]  # including settings that were taken from other runs
        start = ResumePoint(run / LAST, state["clips_seen"], state["zoo"]["rows"])
    config = OmegaConf.merge(OmegaConf.structured(Train), settings)
    for key in CHANGEABLE:
        if any(override.partition("=")[0] == key for override in overrides):
            OmegaConf.update(config, key, OmegaConf.select(typed, key))
    assert isinstance(config, DictConfig)
    return config, start
