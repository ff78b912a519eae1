"""Write ``metrics.csv``: every logged metric, row by row, without buffering.

Lightning's own CSV logger deletes the rows of a run that is resumed.
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
from zoo.io.own_files import open_to_append
from zoo.runs.metrics_csv import read_rows


class MetricsCsvLogger(Logger):
    """Writes rows of metrics with a column ``step``. The file is rewritten when a new column appears.

    keep: number of rows to keep of a resumed training, those before its checkpoint; later rows are logged again.
    """

    def __init__(self, path: Path, keep: int = 0) -> None:
        super().__init__()
        self.path = path
        self.columns: list[str] = []
        self.rows = 0
        self.writes = is_main_process()
        if self.writes:
            self._open(keep)

    @property
    def name(self) -> str:
        """Required by Lightning."""
        return "metrics"

    @property
    def version(self) -> str:
        """Required by Lightning."""
        return ""

    def _open(self, keep: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = read_rows(self.path)[:keep] if self.path.is_file() else []
        self.columns = list(dict.fromkeys(column for row in rows for column in row))
        self.rows = len(rows)
        self._write_all(rows)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: hyperparameters are in config.yaml."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row; only the main process writes."""
        if not self.writes:
            return
        row = {**metrics, "step": step}
        new = [column for column in row if column not in self.columns]
        if new:
            rows = read_rows(self.path)
            self.columns += new
            self._write_all([*rows, row])
        else:
            with open_to_append(self.path) as out:
                out.write(self._format([row]).encode())
        self.rows += 1

    def save(self) -> None:
        """Sync the file to disk."""
        if self.writes:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())

    def _write_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        header = io.StringIO()
        csv.writer(header).writerow(self.columns)
        write_text(self.path, header.getvalue() + self._format(rows))

    def _format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, self.columns).writerows(rows)
        return text.getvalue()
