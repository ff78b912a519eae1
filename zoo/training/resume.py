"""Going on with a training: `python -m zoo.train resume=runs/<run>` needs nothing but the run folder.

The settings are those that the run was begun with. Only what changes no number may be typed anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from zoo.errors import ZooError, listed
from zoo.runs.files import CONFIG, LAST
from zoo.settings import Train

FREE = ("trainer.progress", "data.workers", "logger.wandb", "callbacks.save_minutes")
"""Settings that change no number."""


@dataclass(frozen=True)
class Start:
    """Where a training goes on. checkpoint: None for one that was stopped before its first. rows: of metrics.csv that
    belong to it."""

    checkpoint: Path | None
    clips_seen: int
    rows: int


def check_resumable(run: Path) -> None:
    """Raise a ZooError for a folder that holds no run; cheap, and told before the folder is touched."""
    if not (run / CONFIG).is_file():
        raise ZooError(f"{run} holds no {CONFIG}, so there is no training to go on with. Try: resume=runs/<run>")


def resumed(run: Path, typed: DictConfig, words: Sequence[str]) -> tuple[DictConfig, Start]:
    """The settings of a run, and where it stopped. typed: what was composed now; words: what a user typed of it.

    Raises a ZooError for a checkpoint that cannot be read, and for settings that would make another training of it.
    """
    from zoo.runs.load import read_checkpoint, read_config

    for word in words:
        key = word.lstrip("+~").partition("=")[0]
        if key not in ("resume", *FREE) and not key.startswith("hydra."):
            raise ZooError(
                f"{word}: a training goes on with the settings that it was begun with, in {run / CONFIG}. "
                f"Beside resume you may type {listed(FREE)}."
            )
    settings: dict[str, Any] = read_config(run)
    start = Start(None, 0, 0)
    if (run / LAST).exists():
        state = read_checkpoint(run / LAST)
        if "zoo" not in state:
            raise ZooError(f"{run / LAST} holds weights only, so no training can go on from it.")
        settings["model"] = state["hyper_parameters"]["model"]  # with what was taken from other runs
        start = Start(run / LAST, state["clips_seen"], state["zoo"]["rows"])
    config = OmegaConf.merge(OmegaConf.structured(Train), settings)
    for key in FREE:
        if any(word.partition("=")[0] == key for word in words):
            OmegaConf.update(config, key, OmegaConf.select(typed, key))
    assert isinstance(config, DictConfig)
    return config, start
