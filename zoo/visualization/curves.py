"""The curves of a run as one picture, for those who do not open wandb."""

from __future__ import annotations

from pathlib import Path

from zoo.runs.files import CLOCK
from zoo.runs.metrics_csv import read_curves


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
