"""Attributes as a person types them: ``walk``, ``walk@0,run@5,walk@10``, ``free``, ``inferred``. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from zoo.errors import ZooError, listed, nearest

FREE, INFERRED = "free", "inferred"
"""Instead of a value: drawn for each sample; read off the frames that are given."""


@dataclass(frozen=True)
class Schedule:
    """What was asked of one attribute: FREE, INFERRED, or values by id, each from its frame on; the first from 0."""

    manner: str | None = None
    starts: tuple[int, ...] = ()
    values: tuple[int, ...] = ()

    def at(self, frame: int) -> int | None:
        """The id at a frame; None where no value was asked."""
        begun = [value for start, value in zip(self.starts, self.values, strict=True) if start <= frame]
        return begun[-1] if begun else None


def read_schedules(
    asked: Mapping[str, str], attributes: Mapping[str, tuple[str, ...]], model: str
) -> dict[str, Schedule]:
    """Attribute -> schedule. A ZooError for a name that the model does not know lists those that it does."""
    for name in asked:
        if name not in attributes:
            known = f"It has {listed(attributes)}." if attributes else "It was trained without any."
            raise ZooError(f"{model} has no attribute `{name}`.{nearest(name, attributes)} {known}")
    return {name: _read(name, str(text), attributes[name]) for name, text in asked.items()}


def _read(name: str, text: str, values: tuple[str, ...]) -> Schedule:
    if text in (FREE, INFERRED) and text not in values:
        return Schedule(manner=text)
    starts, ids = [], []
    for part in text.split(","):
        value, at, start = part.strip().partition("@")
        if value not in values:
            raise ZooError(
                f"attributes.{name}={text}: there is no {name} `{value}`.{nearest(value, values)} "
                f"Known: {listed(values)}; or {FREE}, or {INFERRED}."
            )
        if at and not start.isdecimal():
            raise ZooError(f"attributes.{name}={text}: `{start}` is no number of a frame. Try: {value}@5")
        starts.append(int(start) if at else 0)
        ids.append(values.index(value))
    if starts[0] != 0 or any(a >= b for a, b in pairwise(starts)):
        raise ZooError(
            f"attributes.{name}={text}: values come in the order of their frames, the first from frame 0. "
            f"Try: attributes.{name}={values[0]}@0,{values[-1]}@5"
        )
    return Schedule(starts=tuple(starts), values=tuple(ids))
