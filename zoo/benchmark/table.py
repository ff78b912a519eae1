"""Tables and sentences about measurements, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from zoo.benchmark.stats import Ratio, Spread, spread

GIGA = 1e9


@dataclass(frozen=True)
class Row:
    """A row of a table. series: name of the measurement. rate: show a rate in 1/s instead of milliseconds."""

    series: str
    title: str
    unit: str
    rate: bool = False

    def statistics(self, seconds: Mapping[str, Any]) -> Spread:
        """Median and quartiles of the series, in the unit of the row."""
        found = spread(seconds[self.series])
        return found.as_rate(1.0) if self.rate else found.scaled(1000)


ROWS = (
    Row("step/whole", "training step", "ms"),
    Row("step/data", "  data", "ms"),
    Row("step/forward", "  forward", "ms"),
    Row("step/backward", "  backward", "ms"),
    Row("step/optimizer", "  optimizer", "ms"),
    Row("step/rest", "  rest", "ms"),
    Row("sample/first_frame", "first frame sampled", "ms"),
    Row("sample/frame", "sampling", "frames/s", rate=True),
    Row("load/clip", "loading alone", "clips/s", rate=True),
    Row("metrics/clip", "metrics of a clip", "ms"),
)


def describe_setting(result: Mapping[str, Any]) -> str:
    """``vid2vid on puppets: 4 clips a step, 8 frames; cpu, 2 threads, precision 32, compiled``."""
    config, data = result["config"], result["config"]["data"]
    parts = [
        f"{config['model']['name']} on {data['name']}: {data['batch_size']} clips a step, {data['frames']} frames; "
        f"{result['device']}, {result['environment']['threads']} threads, precision {config['trainer']['precision']}"
    ]
    return ", ".join([*parts, *(["compiled"] if config["trainer"]["compile"] else [])])


def result_table(result: Mapping[str, Any]) -> Table:
    """The table of one result."""
    view = Table(title=escape(describe_setting(result)), title_justify="left")
    view.add_column("what")
    for name in ("median", "quartiles", "", "of the step"):
        view.add_column(name, justify="left" if not name else "right")
    seconds = result["seconds"]
    whole = spread(seconds["step/whole"]).median
    for row in ROWS:
        if row.series in seconds:
            found = row.statistics(seconds)
            share = f"{spread(seconds[row.series]).median / whole:.0%}" if row.title.startswith(" ") else ""
            quartiles = f"{format_number(found.lower)} – {format_number(found.upper)}"
            view.add_row(row.title, format_number(found.median), quartiles, row.unit, share)
    view.add_row("peak memory", format_number(result["memory_mib"]["peak"]), "", "MiB", "")
    view.add_row("  before step 1", format_number(result["memory_mib"]["before"]), "", "MiB", "")
    return view


def comparison_table(first: Mapping[str, Any], second: Mapping[str, Any], ratios: Mapping[str, Ratio]) -> Table:
    """The table of two results, with the ratios of their times."""
    view = Table(title="A and B interleaved", title_justify="left")
    view.add_column("median of")
    for name in ("A", "B", "", "time of B / A", "95 % interval"):
        view.add_column(name, justify="left" if not name else "right")
    for row in ROWS:
        if row.series in first["seconds"] and row.series in second["seconds"]:
            medians = [format_number(row.statistics(each["seconds"]).median) for each in (first, second)]
            view.add_row(row.title, *medians, row.unit, *_format_ratio(ratios.get(row.series)))
    peaks = [each["memory_mib"]["peak"] for each in (first, second)]
    view.add_row("peak memory", *map(format_number, peaks), "MiB", f"{peaks[1] / peaks[0]:.3f} ", "")
    return view


def _format_ratio(ratio: Ratio | None) -> tuple[str, str]:
    if ratio is None:
        return "–", ""
    return f"{ratio.median:.3f}{'*' if ratio.is_significant else ' '}", f"{ratio.lower:.3f} – {ratio.upper:.3f}"


def describe_roofline(roofline: Mapping[str, Any]) -> Iterator[str]:
    """One or two sentences on the speed of a training step and of its convolutions alone."""
    yield (
        f"A step takes {roofline['flop_per_step'] / GIGA:.4g} GFLOP "
        f"and runs at {roofline['flop_per_s'] / GIGA:.4g} GFLOP/s."
    )
    if not roofline["convolutions"]:
        yield "It has no convolutions to compare with."
        return
    shares = sum(each["share"] for each in roofline["convolutions"])
    yield (
        f"Its {len(roofline['convolutions'])} largest convolutions ({shares:.0%} of the FLOPs of all convolutions) run "
        f"at {roofline['convolution_flop_per_s'] / GIGA:.4g} GFLOP/s alone, forward and backward; "
        f"the step reaches {roofline['share']:.0%} of that."
    )


def format_number(value: float) -> str:
    """Three or four significant digits."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
