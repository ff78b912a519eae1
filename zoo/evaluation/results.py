"""``results.jsonl``: one line per measurement, with its whole protocol. Lines are added and never changed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.card import ModelCard
from zoo.errors import ZooError
from zoo.evaluation.catalogue import find_card, versioned
from zoo.evaluation.protocol import Protocol
from zoo.io.own_files import open_to_append
from zoo.io.safe_settings import check_plain
from zoo.runs.files import CLOCK, RESULTS

if TYPE_CHECKING:
    from zoo.model import VideoModel


@dataclass(frozen=True)
class Result:
    """One line of results.jsonl."""

    seen: int
    """Training clips that the model had seen."""

    task: str
    """Task of the model, under which the result stands in tables."""

    given: str
    """What samples were made from, such as ``labels, 1 frame``."""

    metrics: dict[str, float]
    """Value by name."""

    protocol: Protocol
    """How they were measured."""

    more: dict[str, Any]
    """Further entries of the line, such as the model."""

    curves: dict[str, list[float]] = field(default_factory=dict)
    """Value of each measured frame by name, for paired metrics; empty in lines older than this entry."""

    @property
    def baseline(self) -> str:
        """Name of the trivial row in tables (`zoo.evaluation.baselines`); "" for samples of the model."""
        return str(self.more.get("baseline", ""))

    def line(self) -> str:
        """Return the line as JSON. JSON has no NaN and no infinity; they become null."""
        plain: dict[str, Any] = {
            CLOCK: self.seen,
            "task": self.task,
            "given": self.given,
            "metrics": {name: _finite(value) for name, value in self.metrics.items()},
            "protocol": asdict(self.protocol),
        }
        cards = [card for name in self.metrics if (card := find_card(name)) and card.version > 1]
        if cards:
            plain["versions"] = {card.name: card.version for card in cards}
        if self.curves:
            plain["curves"] = {name: [_finite(value) for value in curve] for name, curve in self.curves.items()}
        return json.dumps(plain | self.more)

    @classmethod
    def read(cls, line: str) -> Result:
        """Parse a line. Values of an older version of a metric are called ``<metric>-v1``.

        Raises ValueError for a line that is not a result.
        """
        try:
            plain = json.loads(line)
            curves = plain.pop("curves", {})  # checked below: those of a long clip exceed the limit of plain settings
            check_plain(plain, "it")
            versions = plain.pop("versions", {})
            metrics = {_name(name, versions): _number(value) for name, value in plain.pop("metrics").items()}
            seen, task, given = (plain.pop(name) for name in (CLOCK, "task", "given"))
            protocol = Protocol.read(plain.pop("protocol"))
            return cls(
                int(seen), str(task), str(given), metrics, protocol, plain, _read_curves(curves, versions, protocol)
            )
        except (KeyError, AttributeError, TypeError, OverflowError, RecursionError, ZooError) as problem:
            raise ValueError(f"it is not a result: {problem!r:.300}") from problem


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _name(name: str, versions: Mapping[str, int]) -> str:
    """The name of a value in a line with these versions by metric; 1 where the line has none."""
    card = find_card(name)
    version = int(versions.get(card.name, 1)) if card else 1
    return versioned(name, version) if card and version != card.version else name


def _read_curves(plain: Mapping[str, Any], versions: Mapping[str, int], protocol: Protocol) -> dict[str, list[float]]:
    """Check the entry ``curves`` of a line. Raises ValueError for a curve without one value for each measured frame."""
    check_plain([*plain], "it")
    frames = protocol.frames - protocol.context
    for name, curve in plain.items():
        if not isinstance(curve, list) or len(curve) != frames:
            raise ValueError(f"its curve {name:.60} must be a list of {frames} values, one for each measured frame")
    return {_name(name, versions): [_number(value) for value in curve] for name, curve in plain.items()}


def add_round(
    folder: Path,
    model: VideoModel[Any],
    metrics: Mapping[str, float],
    protocol: Protocol,
    given: str,
    curves: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Append a validation round to ``folder/results.jsonl``, unless the file has the line already: a resumed training
    repeats the round in which it stopped."""
    line = _format_line(model, metrics, protocol, given, curves)
    file = folder / RESULTS
    if not file.is_file() or line not in file.read_text().splitlines():
        add_line(file, line)


def add_result(
    folder: Path,
    model: VideoModel[Any],
    metrics: Mapping[str, float],
    protocol: Protocol,
    given: str,
    curves: Mapping[str, Sequence[float]] | None = None,
    **more: Any,
) -> None:
    """Append a measurement of a model's samples to ``folder/results.jsonl``."""
    add_line(folder / RESULTS, _format_line(model, metrics, protocol, given, curves, **more))


def _format_line(
    model: VideoModel[Any],
    metrics: Mapping[str, float],
    protocol: Protocol,
    given: str,
    curves: Mapping[str, Sequence[float]] | None,
    **more: Any,
) -> str:
    about = {"model": model.card.name} | more
    values = {name: list(curve) for name, curve in (curves or {}).items()}
    return Result(model.clips_seen, main_task(model.card), given, dict(metrics), protocol, about, values).line()


def main_task(card: ModelCard) -> str:
    """Return the task under which a model's results stand in tables: the first of its tasks in this order."""
    order = ("translate", "generate", "predict", "reconstruct", "classify", "segment")
    return next(task for task in order if task in card.tasks)


def add_line(file: Path, line: str) -> None:
    """Append a line in one write. If the last line was cut off, the new one still starts on a line of its own."""
    with open_to_append(file) as out:
        end = out.seek(0, os.SEEK_END)
        cut = False
        if end:
            out.seek(end - 1)
            cut = out.read(1) != b"\n"
        out.write((("\n" if cut else "") + line + "\n").encode())
        out.flush()
        os.fsync(out.fileno())


def read_results(folder: Path) -> list[Result]:
    """Read every line of ``folder/results.jsonl``.

    Raises ZooError for a missing or empty file, and for a line that cannot be read; the file is left unchanged.
    """
    file = folder / RESULTS
    if not file.is_file():
        raise ZooError(f"{folder} holds no {RESULTS}. Evaluate the run: python -m zoo.evaluate run={folder}")
    results = []
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        if line.strip():
            try:
                results.append(Result.read(line))
            except ValueError as problem:
                raise ZooError(
                    f"Line {number} of {file} cannot be read: {problem}. The file was not changed. Delete the line, "
                    f"then evaluate again: python -m zoo.evaluate run={folder}"
                ) from problem
    if not results:
        raise ZooError(f"{file} holds no measurement. Evaluate the run: python -m zoo.evaluate run={folder}")
    return results
