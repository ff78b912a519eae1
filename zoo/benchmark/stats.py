"""Statistics over repetitions: median and quartiles, and for two interleaved series their ratio, pair by pair."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

Series = Mapping[str, Sequence[float]]
"""Name of a measurement -> seconds of every repetition."""


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    lower: float
    upper: float

    def scaled(self, factor: float) -> Spread:
        """Convert to another unit."""
        return Spread(factor * self.median, factor * self.lower, factor * self.upper)

    def as_rate(self, amount: float) -> Spread:
        """Convert seconds to a rate, with ``amount`` in each repetition. The upper quartile becomes the lower one."""
        return Spread(amount / self.median, amount / self.upper, amount / self.lower)


@dataclass(frozen=True)
class Ratio:
    """Time of the second series divided by that of the first, pair by pair.

    lower, upper: 95 % confidence interval of the median, without assumptions on the distribution.
    """

    median: float
    lower: float
    upper: float
    pairs: list[float]

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes 1, no difference."""
        return not self.lower <= 1 <= self.upper


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of at least one value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, lower, upper)


def quartiles(values: Sequence[float]) -> list[float]:
    """The first quartile, the median and the third quartile, to three places, for a file of results."""
    found = spread(values)
    return [round(quartile, 3) for quartile in (found.lower, found.median, found.upper)]


def summarize(seconds: Series) -> dict[str, dict[str, float]]:
    """Median and quartiles of every series, as plain data."""
    return {name: asdict(spread(values)) for name, values in seconds.items()}


def ratios(first: Series, second: Series) -> dict[str, Ratio]:
    """Ratios of the series that both have; those with a repetition of 0 s are left out."""
    found = {}
    for name in (name for name in first if name in second):
        if all(first[name]) and all(second[name]):
            pairs = [b / a for a, b in zip(first[name], second[name], strict=True)]
            found[name] = Ratio(statistics.median(pairs), *median_interval(pairs), pairs)
    return found


def median_interval(values: Sequence[float], outside: float = 0.05) -> tuple[float, float]:
    """Confidence interval of the median, from order statistics: every value is below the median with probability 1/2.

    Its coverage is at least 1 - ``outside`` for six values or more; with fewer, it is the whole range.
    """
    ordered, count = sorted(values), len(values)
    rank, tail = 0, math.comb(count, 0) / 2**count
    while tail <= outside / 2:
        rank += 1
        tail += math.comb(count, rank) / 2**count
    rank = max(rank, 1)
    return ordered[rank - 1], ordered[count - rank]
