"""MoCoGAN and VGAN on MoCoGAN's shape motion and on real actions, at equal numbers of clips.

    python experiments/mocogan/run.py shapes=<folder> actions=<folder>   # what results.jsonl does not hold yet
    python experiments/mocogan/run.py table                              # prints the tables

The folders hold the published strips: shapes has the folders 0 and 1, actions one folder of <person>_<action>.png for
each action. Without shapes=, they are drawn by the same rules; without actions=, that part is left out. Two trainings
run at a time, with one thread each. One that was stopped is resumed.

Shapes: N contents, M motions, T frames, C channels, H x W pixels.
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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
RUNS = Path("runs/mocogan-study")
COMMON = ["data.frames=16", "data.step=2", "data.workers=0", "evaluation.rounds=1", "trainer.threads=1"]
COMMON += ["trainer.progress=false", "logger.wandb=disabled"]
BUDGET = "budget.clips=32000"
BALANCED = ["model.r1=10", "model.lr=2e-4", "data.batch_size=8", BUDGET]
"""The penalty and rate that lead on black grounds, for every model."""
SHAPES = {
    "MoCoGAN": (["model=mocogan", *BALANCED], (1, 2, 3)),
    "VGAN": (["model=vgan", *BALANCED], (1, 2, 3)),
    "VGAN with one stream": (["model=vgan", "model.two_streams=false", *BALANCED], (1,)),
}
ACTIONS = {"MoCoGAN": (["model=mocogan", "model.category=action", *BALANCED], (1, 2, 3))}
CLASSIFIER = ["model=classifier", "data.batch_size=16", "budget.clips=20000", "seed=1"]
SAMPLES = 1024
METRICS = {
    "shapes": ("classifier_precision", "classifier_recall", "classifier_frechet", "clean_clips", "acd"),
    "actions": ("accuracy", "classifier_precision", "classifier_recall", "classifier_frechet"),
}
CONTENTS, MOTIONS = 16, 16
BRIGHT = -0.8
"""Pixels with a channel above this value, in [-1, 1], belong to the shape."""
STILL = 0.05
"""Pixels whose values stay within this range over a clip, of 2, are still."""


def run_all(folders: dict[str, str]) -> None:
    """Run what results.jsonl does not hold yet, two at a time, after the classifiers."""
    done = {(line["data"], line["variant"], line["seed"]) for line in lines()}
    data = {"shapes": ["data=shapes"], "actions": ["data=strips", "data.attribute=action", "data.held_out=time"]}
    for name, folder in folders.items():
        data[name] += [f"data.root={folder}"]
    parts = {"shapes": SHAPES} | ({"actions": ACTIONS} if "actions" in folders else {})
    jobs = []
    for name, variants in parts.items():
        train(RUNS / f"classifier-{name}", [*CLASSIFIER, *data[name]])
        jobs += [(name, data[name], v, s) for v, (_, seeds) in variants.items() for s in seeds]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: run_one(*job), (job for job in jobs if (job[0], *job[2:]) not in done)))


def run_one(name: str, data: list[str], variant: str, seed: int) -> None:
    """Train one variant with one seed, or resume it, measure it, and append a line to results.jsonl."""
    run = RUNS / f"{name}-{variant.replace(' ', '-')}-s{seed}"
    settings = {"shapes": SHAPES, "actions": ACTIONS}[name][variant][0]
    command = train(run, [*data, *settings, f"seed={seed}"])
    before = len(evaluations(run))
    measure = [f"run={run}", f"classifier={RUNS / f'classifier-{name}'}", "split=test", f"clips={SAMPLES}"]
    measure += [f"metrics=[{','.join(METRICS[name])}]", f"baselines={str(seed == 1).lower()}"]
    start("-m", "zoo.evaluate", *measure)
    own = start(str(Path(__file__).relative_to(Path.cwd())), "codes", str(run)) if name == "shapes" else "{}"
    line = {
        "data": name,
        "variant": variant,
        "seed": seed,
        "command": command,
        "measured": shlex.join(["python", "-m", "zoo.evaluate", *measure]),
        "commit": json.loads((run / "environment.json").read_text())["commit"],
        "evaluations": evaluations(run)[before:],
        "codes": json.loads(own.splitlines()[-1]),
    }
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")


def train(run: Path, settings: list[str]) -> str:
    """Train a run, or resume it; returns the command."""
    overrides = [*COMMON, *settings, f"hydra.run.dir={run}"]
    start("-m", "zoo.train", *([f"resume={run}"] if (run / "config.yaml").is_file() else overrides))
    return shlex.join(["python", "-m", "zoo.train", *overrides])


def start(*command: str) -> str:
    """Run Python with one thread in a process of its own; return its output."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run([sys.executable, *command], check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return done.stdout


def evaluations(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's own results.jsonl."""
    file = run / "results.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


# ---------------------------------------------------------------- what the codes decide


def measure_codes(run: str) -> None:
    """Print as one line of JSON what content and motion decide of a sample, and how much of it stands still.

    Of MoCoGAN, samples of every pair of CONTENTS and MOTIONS. colour_by_content: share of the variance of the shape's
    mean colour between contents; path_by_motion: that of the way of its centre between motions; and the reverse, which
    should be near 0. still: share of the pixels that stand still.
    """
    import torch

    from zoo.runs.load import load
    from zoo.types import SampleRequest

    torch.set_num_threads(1)
    model = load(run)
    frames = model.spec.frames
    if model.card.name != "mocogan":
        video = model.sample(SampleRequest(frames, clips=CONTENTS * MOTIONS)).video
        print(json.dumps({"still": still_share(video)}))
        return
    rows = [
        model.sample(SampleRequest(frames, clips=CONTENTS, options={"motion": motion})).video
        for motion in range(MOTIONS)
    ]
    grid = torch.stack(rows, 1)  # (N, M, T, C, H, W): sample n has content n
    colour, path = shape_colour(grid), shape_path(grid)
    found = {
        "colour_by_content": explained(colour),
        "colour_by_motion": explained(colour.transpose(0, 1)),
        "path_by_motion": explained(path.transpose(0, 1)),
        "path_by_content": explained(path),
        "still": still_share(grid.flatten(0, 1)),
    }
    print(json.dumps(found))


def still_share(video: Tensor) -> float:
    """Share of the pixels of clips (B, T, C, H, W) that stand still."""
    return float(((video.amax(1) - video.amin(1)).amax(1) < STILL).float().mean())


def shape_colour(video: Tensor) -> Tensor:
    """Mean colour of the pixels of the shape over a clip: (…, T, C, H, W) -> (…, C)."""
    inside = (video.amax(-3, keepdim=True) > BRIGHT).float()
    return (video * inside).sum((-4, -2, -1)) / inside.sum((-4, -2, -1)).clamp(min=1)


def shape_path(video: Tensor) -> Tensor:
    """Way of the centre of the shape from the first to the last frame, in pixels: (…, T, C, H, W) -> (…, 2)."""
    import torch

    inside = (video.amax(-3) > BRIGHT).float()
    mass = inside.sum((-2, -1)).clamp(min=1)
    rows, columns = (torch.arange(size, dtype=torch.float32) for size in video.shape[-2:])
    centre = torch.stack([(inside.sum(-1) * rows).sum(-1) / mass, (inside.sum(-2) * columns).sum(-1) / mass], -1)
    return centre[..., -1, :] - centre[..., 0, :]


def explained(values: Tensor) -> float:
    """Share of the variance of values (N, M, F) that lies between the N groups, without the bias of M samples each."""
    members = values.shape[1]
    within = values.var(1).sum(-1).mean()
    between = values.mean(1).var(0).sum() - within / members
    return float(between.clamp(min=0) / (between.clamp(min=0) + within).clamp(min=1e-12))


# ---------------------------------------------------------------- tables


def lines() -> list[dict[str, Any]]:
    """The lines of results.jsonl; none if the file does not exist yet."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.is_file() else []


def values_of(line: dict[str, Any], baseline: str | None = None) -> dict[str, float]:
    """The metrics of the model, or of a trivial row, in one line."""
    found: dict[str, float] = {}
    for evaluation in line["evaluations"]:
        if evaluation.get("baseline") == baseline:
            found |= evaluation["metrics"]
    return found | (line["codes"] if baseline is None else {})


def table() -> Iterator[str]:
    """Markdown lines: for each data set the variants, the trivial rows and the real clips."""
    for data in METRICS:
        measured = [line for line in lines() if line["data"] == data]
        if not measured:
            continue
        by_variant: dict[str, list[dict[str, float]]] = {}
        for line in measured:
            by_variant.setdefault(line["variant"], []).append(values_of(line))
        first = measured[0]
        names = sorted(
            {key for runs in by_variant.values() for run in runs for key in run if not key.startswith("real/")}
        )
        yield f"**{data}**\n"
        yield f"| | seeds | {' | '.join(names)} |"
        yield "| --- | ---: |" + " ---: |" * len(names)
        for variant, runs in by_variant.items():
            cells = (interval([run[name] for run in runs if name in run]) for name in names)
            yield f"| {variant} | {len(runs)} | {' | '.join(cells)} |"
        for baseline in dict.fromkeys(e["baseline"] for e in first["evaluations"] if "baseline" in e):
            metrics = values_of(first, baseline)
            yield f"| *{baseline}* | – | {' | '.join(cell(metrics.get(name)) for name in names)} |"
        real = values_of(first)
        yield f"| real clips | – | {' | '.join(cell(real.get(f'real/{name}')) for name in names)} |"
        yield ""


def cell(value: float | None) -> str:
    """A value as text, if there is one."""
    return "–" if value is None else f"{value:.3g}"


def interval(values: Sequence[float]) -> str:
    """The mean over seeds ± half of its 95 % interval (Student's t), as text."""
    from scipy.stats import t

    if len(values) < 2:
        return cell(values[0] if values else None)
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):.3g} ± {half:.2g}"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["codes", run]:
            measure_codes(run)
        case ["table"]:
            print("\n".join(table()))
        case arguments if all(argument.partition("=")[0] in METRICS and "=" in argument for argument in arguments):
            run_all(dict(argument.split("=", 1) for argument in arguments))
        case _:
            sys.exit(__doc__)
