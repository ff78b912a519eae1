"""Is a model past the trivial rows? What has to be better than a sample that needs no model. Imports no torch.

A model is past a row if it is better in every paired metric, in every distance of sets, and in each temporal measure
that passed its test (`MetricCard.decides`). Precision and recall count as one, by the smaller of the two: a repeated
clip has a high precision, and random clips a high recall.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from zoo.errors import joined
from zoo.evaluation.catalogue import METRICS, MetricCard

CEILING = "ceiling: training clips"
"""Row of real clips of the training split: a bound from above, which no model has to beat."""
BOTH = ("precision", "recall")
"""Metrics that count as one, by the smaller value."""
MOST_NAMED = 4
"""Metrics of a row that a sentence names."""


@dataclass(frozen=True)
class Standing:
    """Which trivial rows a model is past."""

    past: tuple[str, ...] = ()
    """Rows that it beats in every metric that counts."""

    behind: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The other rows -> the metrics that count in which the model is not better."""

    undecided: tuple[str, ...] = ()
    """Rows that share no metric that counts with the model."""

    def __str__(self) -> str:
        """One clause, such as ``not past: given frame repeated (l1, ssim)``; empty if there are no rows."""
        rows = [f"{row} ({_shorten(names)})" for row, names in self.behind.items()]
        if rows:
            return f"not past: {'; '.join(rows)}"
        if self.undecided:
            return "unknown whether past the trivial rows: no paired metric and no distance of sets, such as kvd"
        return "past every trivial row" if self.past else ""


def _shorten(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return joined(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def compare_with_baselines(model: Mapping[str, float], rows: Mapping[str, Mapping[str, float]]) -> Standing:
    """Compare the values of a model with those of each trivial row, measured on the same clips.

    Values are by name, such as ``psnr``, or by key, such as ``val/psnr@8x8f-c1-64x64px``: only equal keys are compared.
    rows: by title; the ceiling is left out. Equal values, and values that are not numbers, are not better.
    """
    own = dict(_scores(model))
    past, behind, undecided = [], {}, []
    for row, values in rows.items():
        if row == CEILING:
            continue
        theirs = dict(_scores(values))
        shared = [key for key in own if key in theirs]
        worse = tuple(dict.fromkeys(_name(key) for key in shared if not own[key] > theirs[key]))
        if worse:
            behind[row] = worse
        elif shared:
            past.append(row)
        else:
            undecided.append(row)
    return Standing(tuple(past), behind, tuple(undecided))


def _scores(values: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Key and value of each metric that counts, with the sign that makes higher values better."""
    for key, value in values.items():
        name = _name(key)
        if card := _deciding_card(name):
            yield key, value if card.better == "max" else -value
        elif name.removeprefix("classifier_").partition("_")[0] == BOTH[0] and "/" not in name:
            other = values.get(key.replace(*BOTH))
            if other is not None:
                yield key.replace(name, f"{name} and {name.replace(*BOTH)}"), min(value, other)


def _name(key: str) -> str:
    """``val/psnr/1-16@8x8f-c1-64x64px`` -> ``psnr/1-16``; a plain name is returned as it is."""
    name, at, _ = key.partition("@")
    return name.partition("/")[2] if at else name


def _deciding_card(name: str) -> MetricCard | None:
    """The card of a value that counts: the metric itself, and no best draw, window of time or value of real clips."""
    for card in METRICS.values():
        has_estimator = card.tool == "flow" and name.startswith(f"{card.name}_") and "/" not in name
        if card.decides and (name == card.name or has_estimator):
            return card
    return None
