"""How a training ended: ``outcome.json``, which is there when it has finished and not before. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.io.atomic import write_text
from zoo.runs.files import OUTCOME


def write_outcome(run: Path, metrics: dict[str, float], objective: tuple[str, str] | None) -> None:
    """objective: the metric that best.ckpt was chosen by, and whether its ``max`` or ``min`` is best."""
    key, mode = objective or (None, None)
    value = metrics.get(key) if key else None
    told = {"finished": True, "metrics": metrics, "objective": key, "value": value, "mode": mode}
    write_text(run / OUTCOME, json.dumps(told, indent=2) + "\n")


def read_outcome(run: Path) -> dict[str, Any] | None:
    """What was written; None for a training that has not finished."""
    file = run / OUTCOME
    return json.loads(file.read_text()) if file.is_file() else None
