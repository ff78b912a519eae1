"""``metrics.csv``: every number that is logged, a row at a time, there as soon as it is logged.

Lightning's own CSV logger deletes what a run logged before it was stopped.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from zoo.devices.launch import is_main_process
from zoo.io.atomic import write_text
from zoo.runs.metrics_csv import read_rows


class MetricsFile(Logger):
    """Rows of numbers with the column ``step``. Where a new column turns up the file is written anew, as a whole.

    keep: of a training that goes on, how many rows its checkpoint knows of; what came after them is logged again.
    """

    def __init__(self, path: Path, keep: int = 0) -> None:
        super().__init__()
        self.path = path
        self.columns: list[str] = []
        self.rows = 0
        self.writes = is_main_process()
        if self.writes:
            self._begin(keep)

    @property
    def name(self) -> str:
        """Lightning asks for it."""
        return "metrics"

    @property
    def version(self) -> str:
        """Lightning asks for it."""
        return ""

    def _begin(self, keep: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = read_rows(self.path)[:keep] if self.path.is_file() else []
        self.columns = list(dict.fromkeys(column for row in rows for column in row))
        self.rows = len(rows)
        self._write_all(rows)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """They stand in config.yaml."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a row; one process does."""
        if not self.writes:
            return
        row = {**metrics, "step": step}
        new = [column for column in row if column not in self.columns]
        if new:
            rows = read_rows(self.path)
            self.columns += new
            self._write_all([*rows, row])
        else:
            with self.path.open("a", newline="") as out:
                out.write(self._text([row]))
        self.rows += 1

    def save(self) -> None:
        """Wait until the disk has every row."""
        if self.writes:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())

    def _write_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        header = io.StringIO()
        csv.writer(header).writerow(self.columns)
        write_text(self.path, header.getvalue() + self._text(rows))

    def _text(self, rows: Iterable[Mapping[str, Any]]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, self.columns).writerows(rows)
        return text.getvalue()
