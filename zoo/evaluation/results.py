"""``results.jsonl``: one line per measurement, with its whole protocol. Lines are added and never changed; only a line
that was cut off, by a kill or a full disk, is removed."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.card import ModelCard
from zoo.cli import python_command
from zoo.errors import ZooError
from zoo.evaluation.catalogue import find_card, versioned
from zoo.evaluation.protocol import Protocol
from zoo.io.atomic import write_atomically
from zoo.io.bounded import parse_json, read_bounded, read_bounded_text
from zoo.io.own_files import open_to_append
from zoo.io.safe_settings import check_plain
from zoo.runs.files import CLOCK, RESULTS

if TYPE_CHECKING:
    from zoo.model import VideoModel


logger = logging.getLogger(__name__)

LONGEST_LINE = 1 << 24
"""Bytes at the end of a file in which the beginning of a cut line is looked for."""


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
            plain = parse_json(line)
            curves = plain.pop("curves", {})  # checked below: those of a long clip exceed the limit of plain settings
            check_plain(plain, "it")
            versions = plain.pop("versions", {})
            metrics = {_name(name, versions): _number(value) for name, value in plain.pop("metrics").items()}
            seen, task, given = (plain.pop(name) for name in (CLOCK, "task", "given"))
            protocol = Protocol.read(plain.pop("protocol"))
            return cls(
                int(seen), str(task), str(given), metrics, protocol, plain, _read_curves(curves, versions, protocol)
            )
        except (KeyError, AttributeError, TypeError, OverflowError, ZooError) as problem:
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
    if not file.is_file() or line not in read_bounded_text(file, errors="replace").splitlines():
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
    """Append a line. If the last line was cut off, it is removed. Raises OSError; then nothing of the line is
    left. Raises ZooError if a link stands in the place of the file."""
    data = f"{line}\n".encode()
    with open_to_append(file) as out:
        descriptor = out.fileno()
        end = _end_of_whole_lines(descriptor)
        try:
            os.ftruncate(descriptor, end)
            if end and os.pread(descriptor, 1, end - 1) != b"\n":
                data = b"\n" + data
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        except OSError as problem:
            with suppress(OSError):
                os.ftruncate(descriptor, end)
            raise OSError(problem.errno, problem.strerror, str(file)) from problem


def _end_of_whole_lines(descriptor: int) -> int:
    """Length of a file without a last line that was cut off; a line that lacks only its line feed is whole."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - LONGEST_LINE)
    begun = os.pread(descriptor, LONGEST_LINE, start).rpartition(b"\n")[2]
    return size - len(begun) if len(begun) < LONGEST_LINE and _was_cut_off(begun) else size


def _was_cut_off(line: bytes) -> bool:
    """Whether a line is the beginning of a line of JSON: it ends where the parser expects more."""
    text = line.decode(errors="replace").strip(" \r\t\0")
    if not text.startswith("{"):
        return not text and b"\0" in line  # room that was reserved before the machine lost power
    try:
        parse_json(text)
    except json.JSONDecodeError as problem:
        rest = len(text) - problem.pos
        if text.endswith("}"):
            return rest == 0
        # the parser stops in front of a number or name that is not complete
        return problem.msg.startswith("Unterminated string") or rest <= len("-Infinit")
    except ValueError:
        pass
    return False


def repair_results(folder: Path) -> None:
    """Remove lines of ``folder/results.jsonl`` that were cut off; a resumed training measures their rounds again."""
    file = folder / RESULTS
    if not file.is_file():
        return
    *lines, last = read_bounded(file).split(b"\n")
    whole = [line for line in (*lines, last) if not _was_cut_off(line)]
    if cut := 1 + len(lines) - len(whole):
        write_atomically(file, lambda out: out.write(b"".join(line + b"\n" for line in whole if line.strip())))
        logger.warning(f"{file} had {cut} lines that were cut off; they are removed.")


def readable_results(folder: Path) -> list[Result]:
    """Read every line of ``folder/results.jsonl`` that can be read; none if there is no file."""
    file, results = folder / RESULTS, []
    for line in read_bounded_text(file, errors="replace").splitlines() if file.is_file() else ():
        with suppress(ValueError):
            results.append(Result.read(line))
    return results


def read_results(folder: Path) -> list[Result]:
    """Read every line of ``folder/results.jsonl``.

    Raises ZooError for a missing or empty file, and for a line that cannot be read; the file is left unchanged.
    """
    file = folder / RESULTS
    command = python_command("zoo.evaluate", f"run={folder}")
    if not file.is_file():
        raise ZooError(f"{folder} holds no {RESULTS}. Evaluate the run: {command}")
    results = []
    for number, line in enumerate(read_bounded_text(file, errors="replace").splitlines(), 1):
        if line.strip():
            try:
                results.append(Result.read(line))
            except ValueError as problem:
                raise ZooError(
                    f"Line {number} of {file} cannot be read: {problem}. The file was not changed. Delete the line, "
                    f"then evaluate again: {command}"
                ) from problem
    if not results:
        raise ZooError(f"{file} holds no measurement. Evaluate the run: {command}")
    return results
