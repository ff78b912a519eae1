"""The leaderboard: every model that makes videos, on puppets, under one protocol, three seeds each.

    python experiments/leaderboard/run.py          # trains and measures what results.jsonl does not hold yet
    python experiments/leaderboard/run.py readme   # writes the table into README.md, between its two marks

Two trainings at a time, one thread each. A model is trained for as many clips as its card advises.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from zoo.comparison.content import ComparedRun, Comparison
from zoo.comparison.gather import compare_results
from zoo.comparison.table import ARROWS, format_cell, group_by_task
from zoo.evaluation.catalogue import better
from zoo.evaluation.results import RESULTS, Result, add_line, read_results
from zoo.runs.files import CONFIG

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
RUNS = Path("runs/leaderboard")
DATA = ["data=puppets", "data.view=person", "data.height=64", "data.width=64", "data.frames=10", "data.crowd=0"]
COMMON = [*DATA, "data.workers=0", "evaluation.rounds=1", "trainer.threads=1", "trainer.progress=false"]
TOOLS = {"classifier": ["model=classifier", "data.batch_size=16"], "segmenter": ["model=segmenter", "data.frames=4"]}
MODELS = {"vid2vid": [1], "pix2pixhd": [1], "videovae": [1, 0]}
"""And how many real frames each is shown."""
PAIRED = ("l1", "psnr", "ssim")
SEEDS = (1, 2, 3)
CLIPS = 256
SHOWN = (
    "psnr",
    "ssim",
    "warping_error_dis",
    "motion_dis",
    "accuracy_identity",
    "accuracy_action",
    "classifier_frechet",
    "label_miou",
)
MARKS = ("<!-- leaderboard -->", "<!-- end of leaderboard -->")


def run_all() -> None:
    """The classifier and the segmenter first; then every model, seed by seed."""
    for tool, settings in TOOLS.items():
        train(RUNS / tool, [*settings, "seed=1"])
    done = {(result.more["model"], result.more["seed"], result.protocol.context) for result in results()}
    jobs = [(model, seed) for seed in SEEDS for model in MODELS]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: run_one(*job, done), jobs))


def run_one(model: str, seed: int, done: set[tuple[str, int, int]]) -> None:
    """Train and measure one run, each unless it was done."""
    run = RUNS / f"{model}-s{seed}"
    trained = train(run, [f"model={model}", f"seed={seed}"])
    for context in MODELS[model]:
        if (model, seed, context) not in done:
            measure(run, model, seed, context, trained)


def measure(run: Path, model: str, seed: int, context: int, trained: str) -> None:
    """Measure with so many frames given, and keep the lines with their commands."""
    labels = model != "videovae"
    names = [*(PAIRED if context else ()), "warping_error", "flicker", "motion", "accuracy", "classifier_frechet"]
    names += ["label_miou"] if labels else []
    words = [
        f"run={run}",
        f"classifier={RUNS / 'classifier'}",
        *([f"segmenter={RUNS / 'segmenter'}"] if labels else []),
    ]
    words += [f"clips={CLIPS}", f"context={context}", f"metrics=[{','.join(names)}]"]
    before = len((run / RESULTS).read_text().splitlines())
    measured = command("zoo.evaluate", words)
    commit = json.loads((run / "environment.json").read_text())["commit"]
    for result in read_results(run)[before:]:
        result.more.update(seed=seed, command=trained, measured=measured, trained_at=commit, measured_at=now())
        add_line(HERE / RESULTS, result.line())


def train(run: Path, settings: list[str]) -> str:
    """Train unless that was done, or go on with it; returns the command."""
    words = [*COMMON, *settings, "logger.wandb=disabled", f"hydra.run.dir={run}"]
    command("zoo.train", [f"resume={run}"] if (run / CONFIG).is_file() else words)
    return shlex.join(["python", "-m", "zoo.train", *words])


def now() -> str | None:
    """The commit of this checkout."""
    from zoo.runs.provenance import commit

    return commit()


def command(module: str, words: list[str]) -> str:
    """Run in a process of its own; returns what would be typed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    subprocess.run([sys.executable, "-m", module, *words], check=True, env=environment, stdout=subprocess.DEVNULL)
    return shlex.join(["python", "-m", module, *words])


def results() -> list[Result]:
    """What there is."""
    return read_results(HERE) if (HERE / RESULTS).is_file() else []


def compared() -> Comparison:
    """The lines of results.jsonl as `zoo.compare` would lay them side by side."""
    by_run: dict[str, list[Result]] = {}
    for result in results():
        by_run.setdefault(f"{result.more['model']}-s{result.more['seed']}", []).append(result)
    runs = [
        ComparedRun(name, RUNS / name, lines[0].more["model"], lines[0].more["seed"], {}, {}, {})
        for name, lines in by_run.items()
    ]
    return compare_results(runs, by_run)[0]


def table() -> Iterator[str]:
    """Markdown: a table for each task and protocol, a row a model."""
    comparison = compared()
    for task, rows in group_by_task(comparison.rows):
        for row_given in dict.fromkeys(row.given for row in rows):
            members = [row for row in rows if row.given == row_given]
            keys = {_metric(key): key for row in members for key in row.cells if _metric(key) in SHOWN}
            names = [name for name in SHOWN if name in keys]
            slug = keys[names[0]].partition("@")[2]
            yield f"**{task}**, `@{slug}`\n"
            yield f"| model | given | seeds | {' | '.join(name + ARROWS[better(name)] for name in names)} |"
            yield "| --- | --- | --- |" + " ---: |" * len(names)
            for row in members:
                cells = (format_cell(row.cells.get(keys[name])) for name in names)
                yield f"| `{row.variant}` | {row.given} | {len(row.seeds)} | {' | '.join(cells)} |"
            yield ""


def _metric(key: str) -> str:
    return key.partition("/")[2].partition("@")[0]


def readme(text: str) -> str:
    """README with the table between its marks."""
    before, rest = text.split(MARKS[0])
    return before + MARKS[0] + "\n" + "\n".join(table()) + MARKS[1] + rest.split(MARKS[1])[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["readme"]:
        README.write_text(readme(README.read_text()))
    else:
        run_all()
