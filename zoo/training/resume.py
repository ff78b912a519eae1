"""Resume a training: `python -m zoo.train resume=runs/<run>` needs only the run folder.

The settings are those that the run was started with. Only settings that do not change results may be typed again, and a
larger budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from zoo.config.overrides import override_key
from zoo.devices.launch import is_main_process
from zoo.errors import ZooError, joined
from zoo.io.atomic import write_text
from zoo.io.safe_settings import read_settings
from zoo.runs.files import CONFIG, LAST, OUTCOME
from zoo.settings import Logger, Train

HARMLESS = (
    *("trainer.progress", "data.workers", "data.root", "data.cache", "callbacks.save_minutes"),
    *(f"logger.{field.name}" for field in fields(Logger)),
)
"""Settings that do not change results. data.root is where the same data lies now."""
BUDGET = "budget.clips"
CHANGEABLE = (*HARMLESS, BUDGET)
"""Settings that may be typed with ``resume``."""


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
    if not (run / CONFIG).is_file():
        raise ZooError(f"{run} contains no {CONFIG}, so there is no training to resume. Try: resume=runs/<run>")


def load_resumed(run: Path, typed: DictConfig, overrides: Sequence[str]) -> tuple[DictConfig, ResumePoint]:
    """The settings of a run, and the point where it resumes.

    overrides: what the user typed. typed: the config that was composed from them.

    Raises ZooError for a checkpoint that cannot be read, and for overrides of settings that change results.
    """
    from zoo.runs.load import read_checkpoint, read_config

    settings: dict[str, Any] = read_config(run)
    for override in overrides:
        key = override_key(override)
        if key in ("resume", *CHANGEABLE) or key.startswith("hydra.") or override == _data_override(settings):
            continue
        raise ZooError(
            f"{override}: a training resumes with the settings that it was started with, in {run / CONFIG}. "
            f"Only these may be typed besides resume: {joined(CHANGEABLE)}."
        )
    start = ResumePoint(None, 0, 0)
    if (run / LAST).exists():
        state = read_checkpoint(run / LAST)
        if "zoo" not in state:
            raise ZooError(f"{run / LAST} contains only weights, so the training cannot be resumed. Start a new one.")
        settings["model"] = state["hyper_parameters"]["model"]  # including settings that were taken from other runs
        start = ResumePoint(run / LAST, state["clips_seen"], state["zoo"]["rows"])
    config = OmegaConf.merge(OmegaConf.structured(Train), settings)
    for key in CHANGEABLE:
        if any(override_key(override) == key for override in overrides):
            OmegaConf.update(config, key, OmegaConf.select(typed, key))
    assert isinstance(config, DictConfig)
    if (config.budget.clips or 0) < start.clips_seen:
        raise ZooError(
            f"{BUDGET}={config.budget.clips}, but this training has already seen {start.clips_seen} clips. To train "
            f"longer, type the number of clips in all: {BUDGET}={2 * start.clips_seen}"
        )
    return config, start


def typed_besides_resume(overrides: Sequence[str]) -> list[str]:
    """The overrides that would have to change something in a finished training."""
    return [override for override in overrides if override_key(override) != "resume"]


def extend(run: Path, overrides: Sequence[str], config: DictConfig) -> bool:
    """Whether a finished training continues because a larger budget was typed.

    Then the folder is no longer that of a finished training, and its settings state the new budget.
    """
    stored = read_settings(run / CONFIG)
    budget = config.budget.clips
    if not any(override_key(override) == BUDGET for override in overrides) or budget == stored["budget"]["clips"]:
        return False
    if is_main_process():
        (run / OUTCOME).unlink(missing_ok=True)
        stored["budget"]["clips"] = budget
        write_text(run / CONFIG, yaml.safe_dump(stored, sort_keys=False, allow_unicode=True))
    return True


def with_data_of_run(overrides: Sequence[str]) -> list[str]:
    """Overrides of a training, with ``data=<data set of the run>`` before settings of its data.

    In ``resume=runs/<run> data.root=<folder>`` the root is a setting of that data set, and not of the default one.
    """
    typed = {override_key(override): override.partition("=")[2] for override in overrides}
    if "resume" not in typed or "data" in typed or not any(key.startswith("data.") for key in typed):
        return list(overrides)
    try:
        settings = read_settings(Path(typed["resume"].strip("'\"")) / CONFIG)
    except ZooError:  # reported when the training is resumed
        return list(overrides)
    return [_data_override(settings), *overrides]


def _data_override(settings: Mapping[str, Any]) -> str:
    """The override that chooses the data set of a run."""
    return f"data={settings['data']['name']}"
