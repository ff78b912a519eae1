"""What many repetitions say: their median and quartiles, and of two that took turns the ratio, pair by pair."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

Series = Mapping[str, Sequence[float]]
"""Seconds of every repetition, by what was measured."""


@dataclass(frozen=True)
class Spread:
    """The median, and the quartiles that half of the repetitions lie between."""

    median: float
    lower: float
    upper: float

    def times(self, factor: float) -> Spread:
        """In another unit."""
        return Spread(factor * self.median, factor * self.lower, factor * self.upper)

    def per(self, amount: float) -> Spread:
        """As a rate, ``amount`` in each repetition: the slowest makes the lower quartile."""
        return Spread(amount / self.median, amount / self.upper, amount / self.lower)


@dataclass(frozen=True)
class Ratio:
    """The second's time by the first's, of each pair. lower, upper: 95 % interval of the median, which chance alone
    leaves only once in twenty benchmarks; it assumes no form of the distribution."""

    median: float
    lower: float
    upper: float
    pairs: list[float]

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out 1, no difference."""
        return not self.lower <= 1 <= self.upper


def spread(values: Sequence[float]) -> Spread:
    """Of at least one repetition."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, lower, upper)


def summary(seconds: Series) -> dict[str, dict[str, float]]:
    """Of each series, as plain data."""
    return {name: asdict(spread(values)) for name, values in seconds.items()}


def ratios(first: Series, second: Series) -> dict[str, Ratio]:
    """Of all that was measured of both and took time in every repetition."""
    found = {}
    for name in (name for name in first if name in second):
        if all(first[name]) and all(second[name]):
            pairs = [b / a for a, b in zip(first[name], second[name], strict=True)]
            found[name] = Ratio(statistics.median(pairs), *median_interval(pairs), pairs)
    return found


def median_interval(values: Sequence[float], outside: float = 0.05) -> tuple[float, float]:
    """Order statistics that the true median lies between, in 95 of 100 cases at least where there are six values or
    more: each value is below it with probability 1/2."""
    ordered, count = sorted(values), len(values)
    rank, tail = 0, math.comb(count, 0) / 2**count
    while tail <= outside / 2:
        rank += 1
        tail += math.comb(count, rank) / 2**count
    rank = max(rank, 1)
    return ordered[rank - 1], ordered[count - rank]
