"""How much memory do training, sampling and evaluation take, and what does it grow with?

    python experiments/speed/memory.py         # about ten minutes on two idle cores; writes memory.json and memory.png
    python experiments/speed/memory.py draw    # draws memory.png from memory.json again, and prints the table

Every point is the peak resident set size of one real command in a process of its own, with one thread. It includes the
interpreter, PyTorch and its libraries.
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
AT_A_TIME = 2  # commands; sharing the cores does not change their memory
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
SIZE = 40 * 64 * 128 / 2**20  # MiB per frame of a clip in TRAIN: video, labels, instances, flow and visibility


@dataclass
class Curve:
    """The peak memory of a command in MiB for several values of one setting, ``{x}`` in its arguments."""

    panel: str
    name: str
    arguments: Sequence[str]
    values: Sequence[int]
    mib: list[float] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """The growth from the first value to the last, relative to the first."""
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


def peak_memory(arguments: Sequence[str], folder: Path) -> float:
    """Run a command; return its peak resident set size in MiB."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    command = [sys.executable, "-m", *arguments]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"exit status {status >> 8} of: {shlex.join(command)}"
    return usage.ru_maxrss / 1024  # Linux reports KiB


def measure() -> None:
    """Train the runs and measure every point; write memory.json."""
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(AT_A_TIME) as pool:
        folder = Path(scratch)
        runs = [["zoo.train", *run, *QUIET, *BRIEF, f"hydra.run.dir={name}"] for name, run in RUNS.items()]
        frames = np.random.default_rng(0).integers(0, 255, (30, 64, 96, 3), np.uint8)
        write_video(folder / "film.mp4", (frames[t // 2 % 30] for t in range(max(LENGTHS) + 1)), 12.5)
        list(pool.map(lambda run: peak_memory(run, folder), runs))
        points = {  # the longest first, so that no core idles at the end
            (number, x): pool.submit(peak_memory, [part.format(x=x) for part in curve.arguments], folder)
            for number, curve in enumerate(CURVES)
            for x in sorted(curve.values, reverse=True)
        }
        for number, curve in enumerate(CURVES):
            curve.mib = [round(points[number, x].result(), 1) for x in curve.values]
            print(f"{curve.panel:26s} {curve.name:28s} {dict(zip(curve.values, curve.mib, strict=True))}", flush=True)
    from zoo.runs.provenance import find_commit

    lines = [vars(curve) | {"command": shlex.join(["python", "-m", *curve.arguments])} for curve in CURVES]
    for line in lines:
        del line["arguments"]
    JSON.write_text(json.dumps({"commit": find_commit(), "curves": lines}, indent=1) + "\n")


def read_curves() -> list[Curve]:
    """The curves of memory.json."""
    lines = json.loads(JSON.read_text())["curves"]
    return [Curve(c["panel"], c["name"], c["command"].split(), c["values"], c["mib"]) for c in lines]


def table(curves: Sequence[Curve]) -> str:
    """A Markdown table: the first and the last point of each curve, and the growth."""
    rows = ["| grows with | of | from | to | more |", "| --- | --- | ---: | ---: | ---: |"]
    for c in curves:
        ends = [f"{x}: {mib:.0f} MiB" for x, mib in ((c.values[0], c.mib[0]), (c.values[-1], c.mib[-1]))]
        rows.append(f"| {c.panel} | {c.name} | {ends[0]} | {ends[1]} | {c.growth:+.1%} |")
    return "\n".join(rows)


def draw(curves: Sequence[Curve]) -> None:
    """Write memory.png: a panel for each setting that memory might grow with, on a common scale."""
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
    clip_growth = [SIZE * (x - lengths[0]) for x in lengths]
    axes[panels.index("frames of a training clip")].plot(lengths, clip_growth, ":", label="growth of the clip itself")
    axes[panels.index("frames of a training clip")].legend(fontsize="x-small", loc="center right")
    axes[0].set(ylabel="peak of resident memory, MiB")
    axes[0].set_ylim(bottom=0)
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    if sys.argv[1:] != ["draw"]:
        measure()
    draw(read_curves())
    print(table(read_curves()))
