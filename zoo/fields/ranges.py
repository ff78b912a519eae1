"""Ranges of numbers: declared once, in the type of a field, and checked before anything is built. Imports no torch.

::

    @dataclass
    class Budget:
        clips: PositiveInt | None = None

A number without a range of its own in this list takes one in place: ``scales: Annotated[int, Range(1, 3)] = 1``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeAlias, get_args, get_type_hints

from zoo.errors import ZooError

LARGEST = 2**31 - 1
"""Largest count, such as that of clips: counts beyond it are typing mistakes."""


@dataclass(frozen=True)
class Range:
    """The numbers from ``least`` to ``most`` that are also larger than ``above`` and smaller than ``below``.

    None: no such limit. NaN and infinities are in no range.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def problem(self, value: float) -> str | None:
        """What is required of a number that is not in the range, to follow "but"; None for one that is."""
        if not math.isfinite(value):
            return "a finite number is required"
        if self.least is not None and value < self.least:
            return f"at least {self.least:g} is required"
        if self.above is not None and value <= self.above:
            return f"more than {self.above:g} is required"
        if self.most is not None and value > self.most:
            return f"at most {self.most:.10g} is allowed"
        if self.below is not None and value >= self.below:
            return f"less than {self.below:g} is required"
        return None

    def nearest(self, value: float) -> float | None:
        """The limit that a number is beyond, if the range contains it."""
        limit = self.least if self.least is not None and not value >= self.least else self.most
        return None if limit is None or self.problem(limit) else limit


PositiveInt: TypeAlias = Annotated[int, Range(least=1, most=LARGEST)]
NonNegativeInt: TypeAlias = Annotated[int, Range(least=0, most=LARGEST)]
AnyInt: TypeAlias = Annotated[int, Range(least=-LARGEST, most=LARGEST)]
Seed: TypeAlias = Annotated[int, Range(least=0, most=2**32 - 1)]
Units: TypeAlias = Annotated[int, Range(least=1, most=65_536)]
"""Channels, features, entries of a code, units of a layer."""
Layers: TypeAlias = Annotated[int, Range(least=1, most=100)]
"""Number of layers, blocks or networks one after another."""
OptionalLayers: TypeAlias = Annotated[int, Range(least=0, most=100)]
"""The same where there may be none."""
Frames: TypeAlias = Annotated[int, Range(least=1, most=100_000)]
Pixels: TypeAlias = Annotated[int, Range(least=1, most=16_384)]
"""Height or width of a frame."""
PixelsFrom16: TypeAlias = Annotated[int, Range(least=16, most=16_384)]
FrameRate: TypeAlias = Annotated[float, Range(least=0.001, most=1000)]
"""Frames per second."""
AnyFloat: TypeAlias = Annotated[float, Range()]
PositiveFloat: TypeAlias = Annotated[float, Range(above=0)]
NonNegativeFloat: TypeAlias = Annotated[float, Range(least=0)]
Share: TypeAlias = Annotated[float, Range(least=0, most=1)]
ShareBelowOne: TypeAlias = Annotated[float, Range(least=0, below=1)]
"""A share of which something is left, such as β₁ and β₂ of Adam."""


@cache
def ranges_of(kind: type[Any]) -> Mapping[str, Range]:
    """Field of a dataclass -> its range; for a list of numbers, that of its entries. Other fields are left out."""
    hints = get_type_hints(kind, include_extras=True)
    found = {field.name: _range_in(hints[field.name]) for field in dataclasses.fields(kind)}
    return {name: limits for name, limits in found.items() if limits}


def _range_in(hint: Any) -> Range | None:
    """The range in a type, or in the types that it is made of."""
    if isinstance(hint, Range):
        return hint
    parts = (*get_args(hint), *getattr(hint, "__metadata__", ()))
    return next((found for part in parts if (found := _range_in(part))), None)


def check_ranges(settings: object, group: str = "") -> None:
    """Raise ZooError, one line a setting, unless every number in a dataclass and in those in its fields is in range.

    group: what the user types before a setting, such as ``model``.
    """
    check_values(type(settings), vars(settings), group)


def check_values(kind: type[Any], values: Mapping[str, Any], group: str = "") -> None:
    """The same for the values of the fields of a dataclass that may not exist yet."""
    if found := list(_problems(kind, values, f"{group}." if group else "")):
        raise ZooError("\n".join(found))


def _problems(kind: type[Any], values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in values.items():
        if dataclasses.is_dataclass(value):
            yield from _problems(type(value), vars(value), f"{prefix}{name}.")
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    for name, limits in ranges_of(kind).items():  # type: ignore[arg-type] # a class is hashable
        value = values.get(name)
        for number in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(number, int | float) or isinstance(number, bool):
                continue
            if required := limits.problem(number):
                advice = _advice(limits, number, defaults[name], f"{prefix}{name}")
                yield f"{prefix}{name} is {number}, but {required}. {advice}"


def _advice(limits: Range, value: float, default: Any, setting: str) -> str:
    """What to type instead: the default, else the nearest number that is allowed."""
    is_number = isinstance(default, int | float) and not limits.problem(default)
    suggested = default if is_number else limits.nearest(value)
    return "Leave it out." if suggested is None else f"Try: {setting}={suggested:.10g}"
