"""How much memory do training, sampling and evaluation take, and what does it grow with?

    python experiments/speed/memory.py         # some ten minutes on two idle cores; writes memory.json and memory.png
    python experiments/speed/memory.py draw    # memory.png anew from memory.json, and the table of README.md

Every point is the largest resident size of one real command in a process of its own, on one thread: the interpreter,
PyTorch and its libraries count, too.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zoo.data.decode import write_video

HERE = Path(__file__).parent
JSON, PICTURE = HERE / "memory.json", HERE / "memory.png"
AT_A_TIME = 2  # commands; memory does not mind that they share the cores
QUIET = ["trainer.progress=false", "trainer.threads=1", "logger.wandb=disabled", "data.workers=0"]
BRIEF = ["evaluation.rounds=1", "evaluation.clips=1", "evaluation.frames=4", "callbacks.gallery_clips=1"]
BRIEF += ["budget.clips=2", "data.batch_size=1"]
LENGTHS, CLIPS = (100, 1000, 3000), (32, 128, 512)
RUNS = {
    "labels": ["model=vid2vid", "data=puppets"],
    "edges": ["model=vid2vid", "data=puppets", "data.condition=edges"],
    "attributes": ["model=videovae", "data=puppets"],
}
TRAIN = ["zoo.train", *RUNS["labels"], *QUIET, *BRIEF, "data.height=64", "data.width=128"]
SAMPLE = ["zoo.sample", "clips=1", "frames={x}", "out=samples{x}"]
SIZE = 40 * 64 * 128 / 2**20  # MiB of a frame of a clip in TRAIN: video, labels, instances, flow and visibility


@dataclass
class Curve:
    """A command at several values of one of its settings, ``{x}`` in its words; what it took, in MiB."""

    panel: str
    name: str
    words: Sequence[str]
    values: Sequence[int]
    mib: list[float] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """From the first value to the last, as a share of the first."""
        return self.mib[-1] / self.mib[0] - 1


CURVES = [
    Curve("frames of a sample", "vid2vid, labels of puppets", [*SAMPLE, "run=labels"], LENGTHS),
    Curve("frames of a sample", "vid2vid, edges of an mp4", [*SAMPLE, "run=edges", "given=film.mp4"], LENGTHS),
    Curve("frames of a sample", "VideoVAE, from nothing", [*SAMPLE, "run=attributes"], LENGTHS),
    Curve("frames of a sample", "VideoVAE, after 4 frames", [*SAMPLE, "run=attributes", "context=4"], LENGTHS),
    Curve("frames of a training clip", "vid2vid, frames_per_step=2",
          [*TRAIN, "hydra.run.dir=length{x}", "data.frames={x}", "model.frames_per_step=2"], (8, 16, 32, 64)),
    Curve("frames_per_step", "vid2vid, clips of 16 frames",
          [*TRAIN, "hydra.run.dir=step{x}", "data.frames=16", "model.frames_per_step={x}"], (1, 2, 4, 8)),
    Curve("clips of an evaluation", "vid2vid, 7 metrics", ["zoo.evaluate", "run=labels", "clips={x}", "features=lite0",
          "metrics=[l1,psnr,ssim,warping_error,flicker,motion,kid]"], CLIPS),
    Curve("clips of an evaluation", "VideoVAE, the usual metrics",
          ["zoo.evaluate", "run=attributes", "clips={x}", "context=1"], CLIPS),
]  # fmt: skip


def peak(words: Sequence[str], folder: Path) -> float:
    """The largest resident size of a command, MiB."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    typed = [sys.executable, "-m", *words]
    process = subprocess.Popen(typed, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, shlex.join(typed)
    return usage.ru_maxrss / 1024  # Linux counts in KiB


def measure() -> None:
    """Train the runs, and measure every point."""
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(AT_A_TIME) as pool:
        folder = Path(place)
        runs = [["zoo.train", *words, *QUIET, *BRIEF, f"hydra.run.dir={name}"] for name, words in RUNS.items()]
        frames = np.random.default_rng(0).integers(0, 255, (30, 64, 96, 3), np.uint8)
        write_video(folder / "film.mp4", (frames[t // 2 % 30] for t in range(max(LENGTHS) + 1)), 12.5)
        list(pool.map(lambda words: peak(words, folder), runs))
        points = {  # the long ones first, so that no core waits for the last one
            (number, x): pool.submit(peak, [word.format(x=x) for word in curve.words], folder)
            for number, curve in enumerate(CURVES)
            for x in sorted(curve.values, reverse=True)
        }
        for number, curve in enumerate(CURVES):
            curve.mib = [round(points[number, x].result(), 1) for x in curve.values]
            print(f"{curve.panel:26s} {curve.name:28s} {dict(zip(curve.values, curve.mib, strict=True))}", flush=True)
    from zoo.runs.provenance import commit

    lines = [vars(curve) | {"command": shlex.join(["python", "-m", *curve.words])} for curve in CURVES]
    for line in lines:
        del line["words"]
    JSON.write_text(json.dumps({"commit": commit(), "curves": lines}, indent=1) + "\n")


def read() -> list[Curve]:
    """What was measured."""
    lines = json.loads(JSON.read_text())["curves"]
    return [Curve(c["panel"], c["name"], c["command"].split(), c["values"], c["mib"]) for c in lines]


def table(curves: Sequence[Curve]) -> str:
    """Markdown: the first point of each curve, the last, and how much larger it is."""
    rows = ["| grows with | of | from | to | more |", "| --- | --- | ---: | ---: | ---: |"]
    for c in curves:
        ends = [f"{x}: {mib:.0f} MiB" for x, mib in ((c.values[0], c.mib[0]), (c.values[-1], c.mib[-1]))]
        rows.append(f"| {c.panel} | {c.name} | {ends[0]} | {ends[1]} | {c.growth:+.1%} |")
    return "\n".join(rows)


def draw(curves: Sequence[Curve]) -> None:
    """A panel for each thing that memory might grow with, all to one scale."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = list(dict.fromkeys(curve.panel for curve in curves))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4 * len(panels), 3.6), sharey=True)
    for axis, panel in zip(axes, panels, strict=True):
        for curve in (c for c in curves if c.panel == panel):
            axis.plot(curve.values, curve.mib, marker="o", label=f"{curve.name}: {curve.growth:+.1%}")
        axis.set(xscale="log", xlabel=panel)
        axis.set_xticks([x for c in curves if c.panel == panel for x in c.values], minor=False)
        axis.xaxis.set_major_formatter("{x:.0f}")
        axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        axis.grid(alpha=0.3)
        axis.legend(fontsize="x-small", loc="lower right")
    lengths = next(c.values for c in curves if c.panel == "frames of a training clip")
    of_clip = [SIZE * (x - lengths[0]) for x in lengths]
    axes[panels.index("frames of a training clip")].plot(lengths, of_clip, ":", label="what the clip grows by")
    axes[panels.index("frames of a training clip")].legend(fontsize="x-small", loc="center right")
    axes[0].set(ylabel="peak of resident memory, MiB")
    axes[0].set_ylim(bottom=0)
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    if sys.argv[1:] != ["draw"]:
        measure()
    draw(read())
    print(table(read()))
