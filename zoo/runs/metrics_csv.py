"""Read ``metrics.csv``, the file with every logged metric of a run. Imports no torch."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path

from zoo.errors import ZooError
from zoo.io.bounded import read_bounded_text
from zoo.io.safe_settings import check_plain
from zoo.runs.files import CLOCK

MOST_BYTES = 1 << 28
"""Largest size of a file, 256 MiB: a million rows of a training fill a tenth."""
MOST_CELLS = 10_000_000
"""Cells with a value. One takes two bytes of a file, and fifty times as many in memory."""


def read_rows(metrics: Path) -> list[dict[str, str]]:
    """Read every complete row, without its empty cells; a truncated last line is skipped.

    Raises ZooError for a file that is not CSV.
    """
    text = _read_text(metrics)
    return _parse(metrics, text[: text.rfind("\n") + 1])


def read_curves(metrics: Path) -> dict[str, list[tuple[float, float]]]:
    """Map each key to its (clips seen, value) pairs; cells without a number are skipped.

    Raises ZooError for a file that is not CSV, and for keys with control characters.
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
        return read_bounded_text(metrics, MOST_BYTES)
    except UnicodeDecodeError as problem:
        raise ZooError(f"{metrics} cannot be read as the curves of a run: {problem}.") from problem


def _parse(metrics: Path, text: str) -> list[dict[str, str]]:
    try:
        lines = csv.reader(io.StringIO(text))
        names, rows, cells = next(lines, []), [], 0
        for line in lines:
            rows.append({key: value for key, value in zip(names, line, strict=False) if value})
            cells += len(rows[-1])
            if cells > MOST_CELLS or len(rows) > MOST_CELLS:
                raise ZooError(f"{metrics} has more than {MOST_CELLS:,} values, so it was not read. Delete it.")
        return rows
    except csv.Error as problem:
        raise ZooError(f"{metrics} cannot be read as the curves of a run: {problem}.") from problem


def _point(seen: str | None, value: str) -> tuple[float, float] | None:
    """Parse two cells; None if one is not a number, as in a line that was truncated when a training was killed."""
    try:
        return float(seen or ""), float(value)
    except ValueError:
        return None
