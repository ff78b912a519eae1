"""What was measured, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from zoo.benchmark.figures import Ratio, Spread, spread

GIGA = 1e9


@dataclass(frozen=True)
class Line:
    """A row of a table: a series in a unit that people think in. rate: so many a second, instead of milliseconds."""

    series: str
    title: str
    unit: str
    rate: bool = False

    def of(self, seconds: Mapping[str, Any]) -> Spread:
        """Its figures in its unit."""
        found = spread(seconds[self.series])
        return found.per(1.0) if self.rate else found.times(1000)


LINES = (
    Line("step/whole", "training step", "ms"),
    Line("step/data", "  data", "ms"),
    Line("step/forward", "  forward", "ms"),
    Line("step/backward", "  backward", "ms"),
    Line("step/optimizer", "  optimizer", "ms"),
    Line("step/rest", "  rest", "ms"),
    Line("sample/first_frame", "first frame sampled", "ms"),
    Line("sample/frame", "sampling", "frames/s", rate=True),
    Line("load/clip", "loading alone", "clips/s", rate=True),
    Line("metrics/clip", "metrics of a clip", "ms"),
)


def setting(result: Mapping[str, Any]) -> str:
    """``vid2vid on puppets: 4 clips of 8 frames, 128 x 64; cpu, 2 threads, precision 32, compiled``."""
    config, data = result["config"], result["config"]["data"]
    words = [
        f"{config['model']['name']} on {data['name']}: {data['batch_size']} clips a step, {data['frames']} frames; "
        f"{result['device']}, {result['environment']['threads']} threads, precision {config['trainer']['precision']}"
    ]
    return ", ".join([*words, *(["compiled"] if config["trainer"]["compile"] else [])])


def table(result: Mapping[str, Any]) -> Table:
    """Of one."""
    view = Table(title=escape(setting(result)), title_justify="left")
    view.add_column("what")
    for name in ("median", "quartiles", "", "of the step"):
        view.add_column(name, justify="left" if not name else "right")
    seconds = result["seconds"]
    whole = spread(seconds["step/whole"]).median
    for line in LINES:
        if line.series in seconds:
            found = line.of(seconds)
            share = f"{spread(seconds[line.series]).median / whole:.0%}" if line.title.startswith(" ") else ""
            view.add_row(
                line.title, number(found.median), f"{number(found.lower)} – {number(found.upper)}", line.unit, share
            )
    view.add_row("peak memory", number(result["memory_mib"]["peak"]), "", "MiB", "")
    view.add_row("  before step 1", number(result["memory_mib"]["before"]), "", "MiB", "")
    return view


def compared(first: Mapping[str, Any], second: Mapping[str, Any], ratios: Mapping[str, Ratio]) -> Table:
    """Of two, with the ratio of times that was taken pair by pair."""
    view = Table(title="A and B in turn", title_justify="left")
    view.add_column("median of")
    for name in ("A", "B", "", "time of B / A", "95 % interval"):
        view.add_column(name, justify="left" if not name else "right")
    for line in LINES:
        if line.series in first["seconds"] and line.series in second["seconds"]:
            figures = [number(line.of(each["seconds"]).median) for each in (first, second)]
            view.add_row(line.title, *figures, line.unit, *_ratio(ratios.get(line.series)))
    peaks = [each["memory_mib"]["peak"] for each in (first, second)]
    view.add_row("peak memory", *map(number, peaks), "MiB", f"{peaks[1] / peaks[0]:.3f} ", "")
    return view


def _ratio(ratio: Ratio | None) -> tuple[str, str]:
    if ratio is None:
        return "–", ""
    return f"{ratio.median:.3f}{'*' if ratio.sure else ' '}", f"{ratio.lower:.3f} – {ratio.upper:.3f}"


def near(roofline: Mapping[str, Any]) -> Iterator[str]:
    """How close the step comes to its convolutions alone, in a sentence or two."""
    yield (
        f"A step takes {roofline['flop_per_step'] / GIGA:.4g} GFLOP, "
        f"and is done at {roofline['flop_per_s'] / GIGA:.4g} GFLOP/s."
    )
    if not roofline["convolutions"]:
        yield "It has no convolutions to be compared with."
        return
    shares = sum(each["share"] for each in roofline["convolutions"])
    yield (
        f"Its {len(roofline['convolutions'])} heaviest convolutions ({shares:.0%} of the FLOPs of all) reach "
        f"{roofline['convolution_flop_per_s'] / GIGA:.4g} GFLOP/s alone, forward and backward: "
        f"the step reaches {roofline['share']:.0%} of that."
    )


def number(value: float) -> str:
    """Three or four digits."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
