"""Parse attribute schedules: ``walk``, ``walk@0,run@5,walk@10``, ``free`` or ``inferred``. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from zoo.errors import ZooError, joined, suggest

FREE, INFERRED = "free", "inferred"
"""Keywords in place of a value: draw it for each sample, or infer it from the given frames."""


@dataclass(frozen=True)
class Schedule:
    """The schedule of one attribute: a mode, or values that each hold from their start frame on."""

    mode: str | None = None
    """FREE, INFERRED, or None if values are scheduled."""

    starts: tuple[int, ...] = ()
    """Start frame of each value, ascending from 0."""

    values: tuple[int, ...] = ()
    """Ids of the values."""

    def at(self, frame: int) -> int | None:
        """Id of the value at a frame; None if no value is scheduled."""
        started = [value for start, value in zip(self.starts, self.values, strict=True) if start <= frame]
        return started[-1] if started else None


def parse_schedules(
    texts: Mapping[str, str], attributes: Mapping[str, tuple[str, ...]], model: str
) -> dict[str, Schedule]:
    """Parse ``attribute -> text`` into ``attribute -> Schedule``.

    attributes: name -> names of its values. model: name of the model, for error messages.
    Raises ZooError for unknown attributes and values and for malformed schedules.
    """
    for name in texts:
        if name not in attributes:
            known = f"Known: {joined(attributes)}." if attributes else "It was trained without attributes."
            raise ZooError(f"{model} has no attribute `{name}`.{suggest(name, attributes)} {known}")
    return {name: _parse_schedule(name, str(text), attributes[name]) for name, text in texts.items()}


def _parse_schedule(name: str, text: str, values: tuple[str, ...]) -> Schedule:
    if text in (FREE, INFERRED) and text not in values:
        return Schedule(mode=text)
    starts, ids = [], []
    for part in text.split(","):
        value, at, start = part.strip().partition("@")
        if value not in values:
            raise ZooError(
                f"attributes.{name}={text}: `{value}` is not a value of {name}.{suggest(value, values)} "
                f"Choices: {joined(values)}, {FREE} or {INFERRED}."
            )
        if at and not start.isdecimal():
            raise ZooError(f"attributes.{name}={text}: `{start}` is not a frame number. Try: {value}@5")
        starts.append(int(start) if at else 0)
        ids.append(values.index(value))
    if starts[0] != 0 or any(a >= b for a, b in pairwise(starts)):
        raise ZooError(
            f"attributes.{name}={text}: start frames must ascend, and the first must be 0. "
            f"Try: attributes.{name}={values[0]}@0,{values[-1]}@5"
        )
    return Schedule(starts=tuple(starts), values=tuple(ids))
