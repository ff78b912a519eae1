"""The outcome of a training, ``outcome.json``, which is written when it has finished. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.io.atomic import write_text
from zoo.runs.files import OUTCOME


def write_outcome(run: Path, metrics: dict[str, float], objective: tuple[str, str] | None) -> None:
    """Write the outcome. objective: key of the metric that selects best.ckpt, and its best, ``max`` or ``min``."""
    key, mode = objective or (None, None)
    value = metrics.get(key) if key else None
    outcome = {"finished": True, "metrics": metrics, "objective": key, "value": value, "mode": mode}
    write_text(run / OUTCOME, json.dumps(outcome, indent=2) + "\n")


def read_outcome(run: Path) -> dict[str, Any] | None:
    """Read the outcome; None for a training that has not finished."""
    file = run / OUTCOME
    return json.loads(file.read_text()) if file.is_file() else None
