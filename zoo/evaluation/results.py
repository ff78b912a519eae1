"""``results.jsonl`` of a run: a line a measurement, with its whole protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = "results.jsonl"


def add_result(
    run: Path, clips_seen: int, metrics: Mapping[str, float], protocol: Mapping[str, Any], **more: str
) -> None:
    """Append a measurement; ``more`` says what else tells it from others under the same protocol."""
    line = {"seen/clips": clips_seen, **more, "metrics": metrics, "protocol": protocol}
    with (run / RESULTS).open("a") as file:
        file.write(json.dumps(line) + "\n")
