"""The curves of a run as one picture, for those who do not open wandb."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from zoo.errors import ZooError
from zoo.io.safe_settings import check_plain
from zoo.runs.files import CLOCK


def read_curves(metrics: Path) -> dict[str, list[tuple[float, float]]]:
    """``metrics.csv`` as key to (clips seen, value) pairs."""
    curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with metrics.open(newline="") as file:
        try:
            lines = csv.reader(file)
            names = next(lines, [])
            for line in lines:
                row = dict(zip(names, line, strict=False))  # a line that was cut off is shorter
                for key, value in row.items():
                    point = _point(row.get(CLOCK), value) if "/" in key and key != CLOCK else None
                    if point:
                        curves[key].append(point)
        except (csv.Error, UnicodeDecodeError) as problem:
            raise ZooError(f"{metrics} cannot be read as the curves of a run: {problem}.") from problem
    check_plain(list(curves), str(metrics))
    return dict(curves)


def _point(seen: str | None, value: str | None) -> tuple[float, float] | None:
    """None where there is no number, as in a line that was cut off when a training was killed."""
    try:
        return float(seen or ""), float(value or "")
    except (TypeError, ValueError):
        return None


def draw_curves(metrics: Path, picture: Path) -> None:
    """A panel of losses and a panel for each validation metric."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    curves = read_curves(metrics)
    panels = {"losses": {k: v for k, v in curves.items() if k.startswith("train/loss/")}}
    panels |= {key: {key: curve} for key, curve in curves.items() if key.startswith("val/")}
    figure, axes = pyplot.subplots(1, len(panels), figsize=(5 * len(panels), 4), squeeze=False)
    for axis, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for key, curve in lines.items():
            axis.plot(
                *zip(*curve, strict=True),
                label=key.rpartition("/")[2],
                marker="." if len(curve) < 20 else None,
            )
        axis.set(title=title, xlabel=CLOCK)
        if title == "losses":
            axis.set_yscale("log")
            axis.legend(fontsize="x-small")
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    pyplot.close(figure)
