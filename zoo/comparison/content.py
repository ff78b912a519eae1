"""Contents of a comparison as plain data, shown by the table, the video, the page and the report. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from zoo.runs.files import WandbRun

Better = Literal["min", "max", ""]
"""Whether lower or higher values are better; "" where neither is."""


@dataclass(frozen=True)
class ComparedRun:
    """One run folder."""

    name: str
    """Name of the run, unique in a comparison."""

    folder: Path
    """The run folder."""

    variant: str
    """Row that the run belongs to. Runs that differ in their seed only share it."""

    seed: int
    """Random seed of the training."""

    config: dict[str, Any]
    """Settings by dotted name, such as `model.width`."""

    curves: dict[str, list[tuple[float, float]]]
    """Key -> (clips seen, value) pairs."""

    films: dict[str, dict[str, Path]]
    """Clip key -> kind -> mp4 file, in the order of the clips, which is the same in every run."""

    wandb: WandbRun | None = None
    """The wandb run that it was logged to."""


@dataclass(frozen=True)
class Column:
    """One metric under one protocol."""

    key: str
    """Key of the values, such as ``val/psnr@8x10f-c1-64x64px``."""

    better: Better
    """Whether lower or higher values are better."""

    protocol: dict[str, Any]
    """Fields of the protocol by name."""


@dataclass(frozen=True)
class Cell:
    """One variant in one column."""

    values: tuple[float, ...]
    """One value for each of ``seeds``."""

    mean: float
    """Mean over seeds."""

    half_width: float | None = None
    """Half the width of the 95 % confidence interval of the mean; None with one seed."""

    best: bool = False
    """Significantly better than every other variant of the task."""

    real: float | None = None
    """The metric on real clips, mean over seeds."""

    seeds: tuple[int, ...] = ()
    """Random seeds of the values."""


@dataclass(frozen=True)
class Row:
    """One variant: a model with its settings, over all seeds."""

    variant: str
    """Model, and the settings that differ between its runs."""

    task: str
    """Task of the model."""

    given: str
    """What the samples were made from."""

    seeds: tuple[int, ...]
    """Random seeds of the runs."""

    cells: dict[str, Cell]
    """Cell by key of its column."""

    curves: dict[str, list[float]] = field(default_factory=dict)
    """Value of each measured frame by key, mean over seeds; the first belongs to the first frame after the context."""

    baseline: bool = False
    """Trivial samples, or the ceiling: no model, so without seeds."""

    standing: str = ""
    """Whether the model is past the trivial rows; "" without such rows, and for the rows themselves."""


@dataclass(frozen=True)
class PublishedRow:
    """One model under one protocol."""

    protocol: str
    """Name of the protocol."""

    model: str
    """Name of the model."""

    paper: str
    """Paper of the model."""

    values: Mapping[str, float]
    """Value by the zoo's name of the metric."""

    source: str
    """Publication that has the values."""

    training: str = ""
    """How it was trained, where the source has several rows of the model."""

    checked: bool = True
    """Whether the values were read in the source itself. Others were taken down from memory."""


@dataclass(frozen=True)
class PublishedTable:
    """The published values of one protocol."""

    protocol: str
    """Name of the protocol."""

    source: str
    """Publication that the protocol is from."""

    metrics: tuple[str, ...]
    """Names of the metrics that a row has."""

    rows: tuple[PublishedRow, ...]
    """The models; empty if the publication has no numbers."""

    remarks: tuple[str, ...]
    """How the compared runs were measured, and what is to know about the rows."""


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side; rows of one task are consecutive."""

    runs: tuple[ComparedRun, ...]
    """The runs, in the user's order."""

    columns: tuple[Column, ...]
    """The metrics that may be compared."""

    rows: tuple[Row, ...]
    """The variants."""

    published: tuple[PublishedTable, ...] = ()
    """Published values, in tables of their own; empty unless they were requested."""
