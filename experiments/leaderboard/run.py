"""The leaderboard: models that generate videos, on test clips of puppets, under one protocol, with three seeds each.

    python experiments/leaderboard/run.py          # trains and measures what results.jsonl does not hold yet
    python experiments/leaderboard/run.py readme   # writes the table into README.md, between its two marks

Two trainings run at a time, with one thread each.
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
from zoo.comparison.table import ARROWS, format_cell, group_by_task, standing_lines
from zoo.evaluation.catalogue import better
from zoo.evaluation.results import RESULTS, Result, add_line, read_results
from zoo.runs.files import COMMAND, CONFIG, ENVIRONMENT
from zoo.runs.provenance import find_commit

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
RUNS = Path("runs/leaderboard")
DATA = ["data=puppets", "data.view=person", "data.height=64", "data.width=64", "data.frames=10", "data.crowd=0"]
COMMON = [*DATA, "data.workers=0", "evaluation.rounds=1", "trainer.threads=1", "trainer.progress=false"]
TOOLS = {"classifier": ["model=classifier", "data.batch_size=16"], "segmenter": ["model=segmenter", "data.frames=4"]}
MODELS = {"vid2vid": [1], "pix2pixhd": [1], "videovae": [1, 0]}
"""Model -> the numbers of given real frames that it is measured with. The card of a model that generates videos and is
not listed says that it has not been measured yet."""
BUDGETS = {"vid2vid": 800, "pix2pixhd": 800, "videovae": 16_000}
"""Training clips by model."""
SETTINGS = dict.fromkeys(("vid2vid", "pix2pixhd"), ("model.perceptual=none",))
"""Settings by model: a perceptual loss would depend on the networks that are installed."""
PAIRED = ("l1", "psnr", "ssim")
OF_FEATURES = ("classifier_frechet", "classifier_mind", "classifier_precision", "classifier_recall")
SEEDS = (1, 2, 3)
CLIPS = 256
SHOWN = (
    "psnr",
    "ssim",
    "ssim-v1",  # of lines measured before SSIM was computed on [0, 1], as are the next two
    "warping_error_dis",
    "motion_dis",
    "temporal_distance",
    "first_step",
    "accuracy_identity",
    "accuracy_action",
    "classifier_frechet",
    "classifier_precision_k3",
    "classifier_recall_k3",
    "label_miou",
)
MARKS = ("<!-- leaderboard -->", "<!-- end of leaderboard -->")


def run_all() -> None:
    """Train the classifier and the segmenter first; then train and measure every model, seed by seed."""
    for tool, settings in TOOLS.items():
        train(RUNS / tool, [*settings, "seed=1"])
    done = {(result.more["model"], result.more["seed"], result.protocol.context) for result in results()}
    jobs = [(model, seed) for seed in SEEDS for model in MODELS]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: run_one(*job, done), jobs))


def run_one(model: str, seed: int, done: set[tuple[str, int, int]]) -> None:
    """Train one run and measure it, unless that was done before."""
    run = RUNS / f"{model}-s{seed}"
    train(run, [f"model={model}", *SETTINGS.get(model, ()), f"budget.clips={BUDGETS[model]}", f"seed={seed}"])
    for context in MODELS[model]:
        if (model, seed, context) not in done:
            measure(run, model, seed, context)


def measure(run: Path, model: str, seed: int, context: int) -> None:
    """Evaluate a run with ``context`` given frames, and append the lines with both commands to results.jsonl."""
    labels = model != "videovae"
    names = [*([*PAIRED, "first_step"] if context else []), "temporal_distance", "accuracy", *OF_FEATURES]
    names += ["label_miou"] if labels else []
    overrides = [
        f"run={run}",
        f"classifier={RUNS / 'classifier'}",
        *([f"segmenter={RUNS / 'segmenter'}"] if labels else []),
    ]
    overrides += ["split=test", f"clips={CLIPS}", f"context={context}", f"metrics=[{','.join(names)}]"]
    overrides += [f"baselines={str(seed == SEEDS[0]).lower()}"]  # they do not depend on the model
    before = len((run / RESULTS).read_text().splitlines())
    evaluate_command = run_command("zoo.evaluate", overrides)
    trained_at = json.loads((run / ENVIRONMENT).read_text())["commit"]
    train_command = (run / COMMAND).read_text().splitlines()[0]
    for result in read_results(run)[before:]:
        result.more.update(seed=seed, command=train_command, measured=evaluate_command)
        result.more.update(trained_at=trained_at, measured_at=find_commit())
        add_line(HERE / RESULTS, result.line())


def train(run: Path, settings: list[str]) -> None:
    """Train a run, or resume it if it exists."""
    overrides = [*COMMON, *settings, "logger.wandb=disabled", f"hydra.run.dir={run}"]
    run_command("zoo.train", [f"resume={run}"] if (run / CONFIG).is_file() else overrides)


def run_command(module: str, overrides: list[str]) -> str:
    """Run a command of the zoo in a process of its own; return it as typed in a shell."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    subprocess.run([sys.executable, "-m", module, *overrides], check=True, env=environment, stdout=subprocess.DEVNULL)
    return shlex.join(["python", "-m", module, *overrides])


def results() -> list[Result]:
    """The lines of results.jsonl; none if the file does not exist yet."""
    return read_results(HERE) if (HERE / RESULTS).is_file() else []


def comparison_of_results() -> Comparison:
    """The comparison that `zoo.compare` would make of the lines of results.jsonl."""
    by_run: dict[str, list[Result]] = {}
    for result in results():
        by_run.setdefault(f"{result.more['model']}-s{result.more['seed']}", []).append(result)
    runs = [
        ComparedRun(name, RUNS / name, lines[0].more["model"], lines[0].more["seed"], {}, {}, {})
        for name, lines in by_run.items()
    ]
    return compare_results(runs, by_run)[0]


def table() -> Iterator[str]:
    """Markdown lines: a table for each task and protocol, with a row for each model."""
    comparison = comparison_of_results()
    for task, rows in group_by_task(comparison.rows):
        for row_given in dict.fromkeys(row.given for row in rows):
            members = [row for row in rows if row.given == row_given]
            keys = {_metric_name(key): key for row in members for key in row.cells if _metric_name(key) in SHOWN}
            names = [name for name in SHOWN if name in keys]
            slug = keys[names[0]].partition("@")[2]
            yield f"**{task}**, `@{slug}`\n"
            yield f"| model | given | seeds | {' | '.join(name + ARROWS[better(name)] for name in names)} |"
            yield "| --- | --- | --- |" + " ---: |" * len(names)
            for row in members:
                cells = (format_cell(row.cells.get(keys[name])) for name in names)
                title = f"*{row.variant}*" if row.baseline else f"`{row.variant}`"
                yield f"| {title} | {row.given} | {len(row.seeds) or '–'} | {' | '.join(cells)} |"
            yield ""
            lines = standing_lines(members)
            yield from (f"- {line}" for line in lines)
            if lines:
                yield ""


def _metric_name(key: str) -> str:
    """``val/psnr@256x11f-c1-64x64px`` -> ``psnr``."""
    return key.partition("/")[2].partition("@")[0]


def readme(text: str) -> str:
    """README with the table inserted between its two marks."""
    before, rest = text.split(MARKS[0])
    return before + MARKS[0] + "\n" + "\n".join(table()) + MARKS[1] + rest.split(MARKS[1])[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["readme"]:
        README.write_text(readme(README.read_text()))
    else:
        run_all()
