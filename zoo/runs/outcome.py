"""The outcome of a training, ``outcome.json``, which is written when it has finished. Imports no torch."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.io.atomic import write_text
from zoo.io.safe_json import read_json
from zoo.runs.files import OUTCOME


def write_outcome(run: Path, metrics: dict[str, float], objective: tuple[str, str] | None) -> None:
    """Write the outcome. objective: key of the metric that selects best.ckpt, and its best, ``max`` or ``min``."""
    key, mode = objective or (None, None)
    value = metrics.get(key) if key else None
    outcome = {"finished": True, "metrics": metrics, "objective": key, "value": value, "mode": mode}
    write_text(run / OUTCOME, json.dumps(outcome, indent=2) + "\n")


def read_outcome(run: Path) -> dict[str, Any] | None:
    """Read the outcome; None for a training that has not finished.

    Raises ZooError for a damaged file, which the training writes again.
    """
    file = run / OUTCOME
    if not file.is_file():
        return None
    remedy = (
        f"Delete it, and let the training write it again: rm {shlex.quote(str(file))} && python -m zoo.train "
        f"{shlex.quote(f'resume={run}')}"
    )
    outcome = read_json(file, remedy)
    value = outcome.get("value", False)
    if not _are_numbers(outcome.get("metrics")) or not (value is None or _is_number(value)):
        raise ZooError(f"{file} cannot be read: it does not hold the metrics of a training. {remedy}")
    return outcome


def readable_outcome(run: Path) -> dict[str, Any] | None:
    """The outcome; None also for a damaged file."""
    try:
        return read_outcome(run)
    except ZooError:
        return None


def _are_numbers(metrics: Any) -> bool:
    return isinstance(metrics, dict) and all(map(_is_number, metrics.values()))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
