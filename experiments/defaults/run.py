"""vid2vid's default training: which weights keep the figure's head and clothes? Two views of puppets, three seeds.

    python experiments/defaults/run.py          # trains and measures what results.jsonl does not hold yet
    python experiments/defaults/run.py readme   # writes the tables into README.md, between its two marks

Two trainings run at a time, with one thread each. Clips of the split val: defaults are chosen here, so not on test.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import t

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
README = HERE / "README.md"
RUNS = Path("runs/defaults")
COMMON = ["model=vid2vid", "model.perceptual=none", "budget.clips=320", "data.workers=0", "evaluation.rounds=1"]
COMMON += ["trainer.threads=1", "trainer.progress=false", "logger.wandb=disabled"]
PERSON = ["data.view=person", "data.height=64", "data.width=64", "data.frames=10", "data.crowd=0"]
VIEWS = {"street": [], "person": PERSON}
VARIANTS = {
    "as published": ["model.foreground_flow_share=0", "model.mask_weight=1"],
    "share of the figure": ["model.foreground_flow_share=0.5", "model.mask_weight=1"],
    "warps more": ["model.foreground_flow_share=0", "model.mask_weight=5"],
    "both": ["model.foreground_flow_share=0.5", "model.mask_weight=5"],
}
SEEDS = {"as published": (1, 2, 3), "both": (1, 2, 3), "share of the figure": (1,), "warps more": (1,)}
"""Seeds of each variant, the most important variants first."""
CLIPS, FRAMES = 64, 8
METRICS = ("l1", "psnr", "ssim", "temporal_distance", "first_step")
MARKS = ("<!-- tables -->", "<!-- end of tables -->")


def run_all() -> None:
    """Run what results.jsonl does not hold yet, two at a time."""
    done = {(line["view"], line["variant"], line["seed"]) for line in lines()}
    jobs = [(view, variant, seed) for variant, seeds in SEEDS.items() for seed in seeds for view in VIEWS]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: run_one(*job), (job for job in jobs if job not in done)))


def run_one(view: str, variant: str, seed: int) -> None:
    """Train, or resume a training, measure it, and append a line to results.jsonl."""
    run = RUNS / f"{view}-{variant.replace(' ', '-')}-s{seed}"
    train = [*COMMON, *VIEWS[view], *VARIANTS[variant], f"seed={seed}", f"hydra.run.dir={run}"]
    start("zoo.train", [f"resume={run}"] if (run / "config.yaml").is_file() else train)
    measure = [f"run={run}", "split=val", f"clips={CLIPS}", f"frames={FRAMES}", "context=1"]
    measure += [f"metrics=[{','.join(METRICS)}]", f"baselines={str(seed == 1).lower()}"]
    file = run / "results.jsonl"
    before = len(file.read_text().splitlines())
    start("zoo.evaluate", measure)
    stored = [json.loads(line) for line in file.read_text().splitlines()[before:]]
    line = {
        "view": view,
        "variant": variant,
        "seed": seed,
        "command": shlex.join(["python", "-m", "zoo.train", *train]),
        "measured": shlex.join(["python", "-m", "zoo.evaluate", *measure]),
        "commit": json.loads((run / "environment.json").read_text())["commit"],
        "protocol": stored[0]["protocol"],
        "metrics": next(result["metrics"] for result in stored if "baseline" not in result),
        "trivial": {result["baseline"]: result["metrics"] for result in stored if "baseline" in result},
    }
    with RESULTS.open("a") as output:
        output.write(json.dumps(line) + "\n")


def start(module: str, overrides: Sequence[str]) -> None:
    """Run a command of the zoo with one thread in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    subprocess.run([sys.executable, "-m", module, *overrides], check=True, env=environment, stdout=subprocess.DEVNULL)


def lines() -> list[dict[str, Any]]:
    """The lines of results.jsonl; none if the file does not exist yet."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.is_file() else []


def table() -> Iterator[str]:
    """Markdown lines: for each view the variants, the trivial rows, and the gain of every change."""
    for view in VIEWS:
        measured = [line for line in lines() if line["view"] == view]
        yield f"**{view}**\n"
        yield f"| | seeds | {' | '.join(METRICS)} |"
        yield "| --- | ---: |" + " ---: |" * len(METRICS)
        for variant in VARIANTS:
            runs = [line["metrics"] for line in measured if line["variant"] == variant]
            if runs:
                cells = (interval([run[name] for run in runs]) for name in METRICS)
                yield f"| {variant} | {len(runs)} | {' | '.join(cells)} |"
        for name, metrics in next((line["trivial"] for line in measured if line["trivial"]), {}).items():
            yield f"| *{name}* | – | {' | '.join(f'{metrics[key]:.4g}' for key in METRICS)} |"
        by_seed = {(line["variant"], line["seed"]): line["metrics"] for line in measured}
        first, *others = VARIANTS
        for variant in others:
            seeds = [s for s in SEEDS[variant] if (variant, s) in by_seed and (first, s) in by_seed]
            if len(seeds) > 1:
                gains = ([by_seed[variant, s][name] - by_seed[first, s][name] for s in seeds] for name in METRICS)
                yield f"| {variant} minus {first} | {len(seeds)} | {' | '.join(interval(g, '+') for g in gains)} |"
        yield ""


def interval(values: Sequence[float], sign: str = "") -> str:
    """The mean over seeds ± half of its 95 % interval (Student's t), as text."""
    if len(values) < 2:
        return f"{values[0]:{sign}.4g}"
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):{sign}.4g} ± {half:.2g}"


def readme(text: str) -> str:
    """README with the tables inserted between its two marks."""
    before, rest = text.split(MARKS[0])
    return before + MARKS[0] + "\n" + "\n".join(table()) + MARKS[1] + rest.split(MARKS[1])[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["readme"]:
        README.write_text(readme(README.read_text()))
    else:
        run_all()
