"""``results.jsonl``: a line a measurement, with its whole protocol. Lines are added, never changed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.card import ModelCard
from zoo.errors import ZooError
from zoo.evaluation.protocol import Protocol
from zoo.io.safe_settings import check_plain
from zoo.runs.files import CLOCK, RESULTS

if TYPE_CHECKING:
    from zoo.model import VideoModel


@dataclass(frozen=True)
class Result:
    """One line. seen: training clips behind the model. given: what samples were made from, in words. metrics: figures
    by name. more: what else was kept, such as the model."""

    seen: int
    task: str
    given: str
    metrics: dict[str, float]
    protocol: Protocol
    more: dict[str, Any]

    def line(self) -> str:
        """As it stands in the file. JSON knows no NaN and no infinity; they are written as null."""
        metrics = {name: value if math.isfinite(value) else None for name, value in self.metrics.items()}
        protocol = asdict(self.protocol)
        plain = {
            CLOCK: self.seen,
            "task": self.task,
            "given": self.given,
            "metrics": metrics,
            "protocol": protocol,
        }
        return json.dumps(plain | self.more)

    @classmethod
    def read(cls, line: str) -> Result:
        """From a line; a ValueError says what is wrong with it."""
        try:
            plain = json.loads(line)
            check_plain(plain, "it")
            found = {
                name: float("nan") if value is None else float(value) for name, value in plain.pop("metrics").items()
            }
            seen, task, given = (plain.pop(name) for name in (CLOCK, "task", "given"))
            return cls(int(seen), str(task), str(given), found, Protocol.read(plain.pop("protocol")), plain)
        except (KeyError, AttributeError, TypeError, OverflowError, RecursionError, ZooError) as problem:
            raise ValueError(f"it is no line of results: {problem!r:.300}") from problem


def add_round(
    folder: Path, model: VideoModel[Any], metrics: Mapping[str, float], protocol: Protocol, given: str
) -> None:
    """Append a round of a training to ``folder/results.jsonl``, unless it stands there since before a stop."""
    line = _line_of(model, metrics, protocol, given)
    file = folder / RESULTS
    if not file.is_file() or line not in file.read_text().splitlines():
        add_line(file, line)


def add_result(
    folder: Path, model: VideoModel[Any], metrics: Mapping[str, float], protocol: Protocol, given: str, **more: Any
) -> None:
    """Append a measurement of a model's samples to ``folder/results.jsonl``."""
    add_line(folder / RESULTS, _line_of(model, metrics, protocol, given, **more))


def _line_of(model: VideoModel[Any], metrics: Mapping[str, float], protocol: Protocol, given: str, **more: Any) -> str:
    about = {"model": model.card.name} | more
    return Result(model.clips_seen, main_task(model.card), given, dict(metrics), protocol, about).line()


def main_task(card: ModelCard) -> str:
    """The task under which a model's results stand in tables: what it does, not what it can do besides."""
    order = ("translate", "generate", "predict", "reconstruct", "classify", "segment")
    return next(task for task in order if task in card.tasks)


def add_line(file: Path, line: str) -> None:
    """Append a line in one write, on a line of its own even after one that was cut off."""
    with file.open("ab+") as out:
        end = out.seek(0, os.SEEK_END)
        cut = False
        if end:
            out.seek(end - 1)
            cut = out.read(1) != b"\n"
        out.write((("\n" if cut else "") + line + "\n").encode())
        out.flush()
        os.fsync(out.fileno())


def read_results(folder: Path) -> list[Result]:
    """Every line of ``folder/results.jsonl``; a ZooError names one that cannot be read, and leaves the file alone."""
    file = folder / RESULTS
    if not file.is_file():
        raise ZooError(f"{folder} holds no {RESULTS}. Measure it: python -m zoo.evaluate run={folder}")
    found = []
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        if line.strip():
            try:
                found.append(Result.read(line))
            except ValueError as problem:
                raise ZooError(
                    f"Line {number} of {file} cannot be read: {problem}. Nothing was changed; take the line out and "
                    "measure again."
                ) from problem
    if not found:
        raise ZooError(f"{file} holds no measurement. Measure it: python -m zoo.evaluate run={folder}")
    return found
