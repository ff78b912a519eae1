"""What a comparison holds: plain data, which the table, the film, the page and the report show. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zoo.runs.files import WandbRun

Better = Literal["min", "max", ""]
"""Which way a metric is better; "" where neither is."""


@dataclass(frozen=True)
class Run:
    """One run folder. curves: key -> (clips seen, value) pairs. films: clip key -> kind -> an mp4, in the order of the
    clips, which is the same in every run. config: settings by dotted name, `model.width`. wandb: the run of wandb that
    it was logged to."""

    name: str  # unique in a comparison
    folder: Path
    variant: str  # the row that it belongs to: runs that differ in their seed alone share it
    seed: int
    config: dict[str, Any]
    curves: dict[str, list[tuple[float, float]]]
    films: dict[str, dict[str, Path]]
    wandb: WandbRun | None = None


@dataclass(frozen=True)
class Column:
    """One metric under one protocol."""

    key: str  # val/psnr@8x10f-c1-64x64px
    better: Better
    protocol: dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One variant under one column. values: one for each of ``seeds``. half: half of the 95 % interval of their mean,
    None with one seed. best: no other variant of the task comes near. real: the same number of the real clips."""

    values: tuple[float, ...]
    mean: float
    half: float | None = None
    best: bool = False
    real: float | None = None
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Row:
    """One variant: a model with its settings, all seeds. given: what its samples were made from. cells: by column."""

    variant: str
    task: str
    given: str
    seeds: tuple[int, ...]
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Comparison:
    """Rows of one task stand together."""

    runs: tuple[Run, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
