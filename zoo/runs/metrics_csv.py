"""Read ``metrics.csv``, the file that holds every logged number of a run. Imports no torch."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path

from zoo.errors import ZooError
from zoo.io.safe_settings import check_plain
from zoo.runs.files import CLOCK


def read_rows(metrics: Path) -> list[dict[str, str]]:
    """Every complete row, without its empty cells; a last line that was cut off is left out.

    Raises ZooError for a file that is not CSV.
    """
    text = _read_text(metrics)
    return _parse(metrics, text[: text.rfind("\n") + 1])


def read_curves(metrics: Path) -> dict[str, list[tuple[float, float]]]:
    """Each key with its (clips seen, value) pairs; cells that hold no number are left out.

    Raises ZooError for a file that is not CSV, and for keys that are no plain text.
    """
    curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in _parse(metrics, _read_text(metrics)):
        for key, value in row.items():
            if "/" in key and key != CLOCK and (point := _point(row.get(CLOCK), value)):
                curves[key].append(point)
    check_plain(list(curves), str(metrics))
    return dict(curves)


def _read_text(metrics: Path) -> str:
    try:
        return metrics.read_text()
    except UnicodeDecodeError as problem:
        raise ZooError(f"{metrics} cannot be read as the curves of a run: {problem}.") from problem


def _parse(metrics: Path, text: str) -> list[dict[str, str]]:
    try:
        lines = csv.reader(io.StringIO(text))
        names = next(lines, [])
        return [{key: value for key, value in zip(names, line, strict=False) if value} for line in lines]
    except csv.Error as problem:
        raise ZooError(f"{metrics} cannot be read as the curves of a run: {problem}.") from problem


def _point(seen: str | None, value: str) -> tuple[float, float] | None:
    """None where a cell holds no number, as in a line that was cut off when a training was killed."""
    try:
        return float(seen or ""), float(value)
    except ValueError:
        return None
