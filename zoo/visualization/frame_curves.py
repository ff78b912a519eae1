"""Plot paired metrics over the frames of a clip: how fast a prediction loses the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo.io.atomic import write_atomically
from zoo.visualization.plotting import plain_pyplot

Curves = Mapping[str, Sequence[float]]
"""Value of each measured frame by name, such as ``psnr``, ``psnr_best`` and ``psnr_worst``."""
ENDS = ("_best", "_worst")


def draw_frame_curves(rows: Mapping[str, Curves], context: int, image: Path) -> None:
    """Plot one panel for each metric, with one line for each row: the mean over draws, in a band from worst to best.

    rows: title -> curves; the first is the model, the others are trivial samples and are dashed. context: given frames,
    which have no value. image: file to write.
    """
    panels = group_by_metric(rows)
    with plain_pyplot() as pyplot:
        figure, axes = pyplot.subplots(1, len(panels), figsize=(5 * len(panels), 4), squeeze=False)
        for axis, (metric, lines) in zip(axes[0], panels.items(), strict=True):
            for title, curves in lines.items():
                frames = range(context + 1, context + 1 + len(curves[metric]))
                style = "-" if title == next(iter(rows)) else "--"
                [line] = axis.plot(frames, curves[metric], style, label=title, marker="." if len(frames) < 20 else None)
                if all(metric + end in curves for end in ENDS):
                    ends = [curves[metric + end] for end in ENDS]
                    axis.fill_between(frames, *ends, color=line.get_color(), alpha=0.2, label="worst to best draw")
            axis.set(title=metric, xlabel="frame")
            axis.legend(fontsize="x-small")
        figure.tight_layout()
        write_atomically(image, lambda out: figure.savefig(out, dpi=110, format="png"))
        pyplot.close(figure)


def group_by_metric(rows: Mapping[str, Curves]) -> dict[str, dict[str, Curves]]:
    """Metric -> title -> curves of that metric, its best and its worst draw. Rows without the metric are left out."""
    metrics = dict.fromkeys(name for curves in rows.values() for name in curves if not name.endswith(ENDS))
    return {
        metric: {
            title: {name: curve for name, curve in curves.items() if name in (metric, *(metric + end for end in ENDS))}
            for title, curves in rows.items()
            if metric in curves
        }
        for metric in metrics
    }
