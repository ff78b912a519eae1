"""Resume a training: `python -m zoo.train resume=runs/<run>` needs only the run folder.

The settings are those that the run was started with. Only settings that do not change results may be typed again, and a
larger budget.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from zoo.config.overrides import override_key
from zoo.config.words import quote_text
from zoo.devices.launch import is_main_process
from zoo.errors import ZooError, joined
from zoo.io.atomic import write_text
from zoo.io.safe_settings import read_settings
from zoo.runs.files import COMMAND, CONFIG, LAST, OUTCOME, checkpoint_exists, lost_checkpoint
from zoo.runs.trust import find_risks, is_own, refuse_untrusted, sign_run
from zoo.settings import Logger, Train

logger = logging.getLogger(__name__)

HARMLESS = (
    *("trainer.progress", "data.workers", "data.root", "data.cache", "callbacks.save_minutes"),
    *(f"logger.{field.name}" for field in fields(Logger)),
)
"""Settings that do not change results. data.root is where the same data lies now."""
BUDGET = "budget.clips"
CHANGEABLE = (*HARMLESS, BUDGET)
"""Settings that may be typed with ``resume``."""
ABOUT_RESUMING = ("trust", "accept_changed_data")
"""Settings of the resumption itself, which are not part of a run."""


@dataclass(frozen=True)
class ResumePoint:
    """Where a training resumes.

    checkpoint: None if the training was stopped before its first one. rows: number of rows of metrics.csv that were
    logged before it. accepts_changed_data: whether the data may differ from that with which the training began.
    """

    checkpoint: Path | None
    clips_seen: int
    rows: int
    accepts_changed_data: bool = False


def check_resumable(run: Path) -> None:
    """Raise ZooError for a folder without a run; cheap, so it comes before the folder is locked."""
    if not (run / CONFIG).is_file() and (run / COMMAND).is_file():
        raise ZooError(
            f"{run} contains no {CONFIG}: the training was stopped while it began. Start it again in this folder, with "
            f"the command in {run / COMMAND} and {shlex.quote(f'hydra.run.dir={run}')}"
        )
    if not (run / CONFIG).is_file():
        raise ZooError(f"{run} contains no {CONFIG}, so there is no training to resume. Try: resume=runs/<run>")


def load_resumed(run: Path, typed: DictConfig, overrides: Sequence[str]) -> tuple[DictConfig, ResumePoint]:
    """The settings of a run, and the point where it resumes.

    overrides: what the user typed. typed: the config that was composed from them. Without overrides, as after a restart
    by torchrun or SLURM, the whole config counts as typed.

    Raises ZooError for a checkpoint that is lost, damaged or incomplete, and offers an older one; for overrides of
    settings that change results; and for a run that is not the user's own, with settings that run code, start processes
    or lead out of its folder, unless they are typed again.
    """
    from zoo.runs.load import read_config
    from zoo.runs.training_state import older_checkpoint_hint, read_training_state

    settings: dict[str, Any] = read_config(run)
    _check_overrides(run, settings, overrides)
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
        if any(override_key(override) == key for override in overrides):
            OmegaConf.update(config, key, OmegaConf.select(typed, key))
    assert isinstance(config, DictConfig)
    if BUDGET in map(override_key, overrides) and (config.budget.clips or 0) < start.clips_seen:
        raise ZooError(
            f"{BUDGET}={config.budget.clips}, but this training has already seen {start.clips_seen} clips. To train "
            f"longer, type the number of clips in all: {BUDGET}={2 * start.clips_seen}"
        )
    _check_trust(run, config, typed, overrides)
    return config, replace(start, accepts_changed_data=bool(OmegaConf.select(typed, "accept_changed_data")))


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
        own = is_own(run)
        logger.info(
            f"This training had finished after {stored['budget']['clips']} clips and goes on to budget.clips={budget}. "
            "Schedules now end there, so it is not bit for bit a training of that budget."
        )
        (run / OUTCOME).unlink(missing_ok=True)
        stored["budget"]["clips"] = budget
        write_text(run / CONFIG, yaml.safe_dump(stored, sort_keys=False, allow_unicode=True))
        if own:
            sign_run(run)
    return True


def prepare_overrides(overrides: Sequence[str]) -> list[str]:
    """Overrides of a training as Hydra needs them: ``resume=<run>`` for ``resume=<run>/last.ckpt``, and the data set of
    the run."""
    return with_data_of_run([with_run_folder(override) for override in overrides])


def with_run_folder(override: str) -> str:
    """``resume=<run>`` for ``resume=<run>/last.ckpt``, else the override. Raises ZooError for another file."""
    if override_key(override) != "resume":
        return override
    place = Path(_resumed_path(override))
    if place.name == LAST:
        return f"resume={quote_text(str(place.parent))}"
    if place.is_file():
        advice = shlex.quote(f"resume={place.parent}")
        raise ZooError(
            f"resume={place} is a file, but a training resumes in its run folder, from {LAST}. Try: {advice}"
        )
    return override


def _resumed_path(override: str) -> str:
    """The path of ``resume=<path>``, which may be quoted for Hydra."""
    value = override.partition("=")[2]
    return value[1:-1].replace("\\'", "'") if value[:1] == value[-1:] and value[:1] in ("'", '"') else value


def with_data_of_run(overrides: Sequence[str]) -> list[str]:
    """Overrides of a training, with ``data=<data set of the run>`` before settings of its data.

    In ``resume=runs/<run> data.root=<folder>`` the root is a setting of that data set, and not of the default one.
    """
    typed = {override_key(override): override.partition("=")[2] for override in overrides}
    if "resume" not in typed or "data" in typed or not any(key.startswith("data.") for key in typed):
        return list(overrides)
    try:
        settings = read_settings(Path(_resumed_path(f"resume={typed['resume']}")) / CONFIG)
    except (ZooError, OSError):  # reported when the training is resumed
        return list(overrides)
    data = settings.get("data")
    return [*([f"data={data['name']}"] if isinstance(data, Mapping) and data.get("name") else []), *overrides]


def _check_overrides(run: Path, settings: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Raise ZooError for an override of a setting that changes results, unless it repeats what the run has."""
    repeated = find_risks(settings, run)
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        group = settings.get(key)
        chooses = isinstance(group, Mapping) and group.get("name") == value  # data=folder, for data.root=<folder>
        if (
            key not in ("resume", *ABOUT_RESUMING, *CHANGEABLE, *repeated)
            and not key.startswith("hydra.")
            and not chooses
        ):
            raise ZooError(
                f"{override}: a training resumes with the settings that it was started with, in {run / CONFIG}. "
                f"Only these may be typed besides resume: {joined((*CHANGEABLE, *ABOUT_RESUMING))}."
            )


def _check_trust(run: Path, config: DictConfig, typed: DictConfig, overrides: Sequence[str]) -> None:
    """Refuse the risks of a run that the user has neither signed nor typed again. What he accepts, he signs."""
    keys = {override_key(override) for override in overrides}

    def is_typed(key: str, value: Any) -> bool:
        return (not overrides or key in keys) and str(OmegaConf.select(typed, key)) == str(value)

    settings: Any = OmegaConf.to_container(config)
    if not OmegaConf.select(typed, "trust"):
        refuse_untrusted(run, settings, is_typed)
    stored, used = find_risks(read_settings(run / CONFIG), run), find_risks(settings, run)
    if is_main_process() and stored and all(str(used.get(key)) == str(value) for key, value in stored.items()):
        sign_run(run)
