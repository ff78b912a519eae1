"""Plot the curves of a run in one image, for those who do not use wandb."""

from __future__ import annotations

from pathlib import Path

from zoo.io.atomic import write_atomically
from zoo.runs.files import CLOCK
from zoo.runs.metrics_csv import read_curves
from zoo.visualization.plotting import plain_pyplot

MOST_PANELS = 100
"""Metrics, and losses, that are shown; a panel takes 550 x 440 pixels, and an image has at most 65,535 on a side."""


def draw_curves(metrics: Path, image: Path) -> None:
    """Plot one panel of losses and one panel per validation metric, MOST_PANELS of each at most.

    metrics: ``metrics.csv``. image: file to write. Raises ZooError if ``metrics.csv`` cannot be read.
    """
    curves = read_curves(metrics)
    losses = [key for key in curves if key.startswith("train/loss/")][:MOST_PANELS]
    panels = {"losses": {key: curves[key] for key in losses}}
    panels |= {key: {key: curves[key]} for key in [key for key in curves if key.startswith("val/")][:MOST_PANELS]}
    with plain_pyplot() as pyplot:
        figure, axes = pyplot.subplots(1, len(panels), figsize=(5 * len(panels), 4), squeeze=False)
        for axis, (title, lines) in zip(axes[0], panels.items(), strict=True):
            for key, curve in lines.items():
                axis.plot(
                    *zip(*curve, strict=True),
                    label=key.rpartition("/")[2],
                    marker="." if len(curve) < 20 else None,
                )
            axis.set(title=title, xlabel=CLOCK)
            if title == "losses" and lines:  # a short training logs none
                axis.set_yscale("log")
                axis.legend(fontsize="x-small")
        figure.tight_layout()
        write_atomically(image, lambda out: figure.savefig(out, dpi=110, format="png"))
        pyplot.close(figure)
