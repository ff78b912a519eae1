"""SVG on stochastic moving digits: a learned prior (LP), a fixed one (FP) and no z at all, three seeds each.

    python experiments/svg/run.py            # trains and measures what results.jsonl does not hold yet
    python experiments/svg/run.py paper      # the same for the published sizes, as far as CLIPS["paper"]
    python experiments/svg/run.py table      # prints the tables
    python experiments/svg/run.py figure     # writes curves.png, bounces.png and films.png

Two trainings run at a time, with one thread each. One that was stopped is resumed.
Shapes: B clips, T frames, J digits, D dimensions of z.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
RUNS = Path("runs/svg-study")
COMMON = ["model=svg", "data=moving_mnist", "data.frames=15", "data.batch_size=16", "data.workers=0"]
COMMON += ["evaluation.rounds=1", "evaluation.context=5", "evaluation.frames=25"]
COMMON += ["trainer.threads=1", "trainer.progress=false", "logger.wandb=disabled"]
VARIANTS = {
    "learned prior": ["model.prior=learned"],
    "fixed prior": ["model.prior=fixed"],
    "no z": ["model.prior=none"],
}
PUBLISHED = "paper"
CLIPS = dict.fromkeys(VARIANTS, 80_000) | {PUBLISHED: 40_000}
SEEDS = (1, 2, 3)
CONTEXT, FRAMES, MEASURED, DRAWS = 5, 25, 64, 100
BOUNCE_CLIPS = 256
METRICS = ("psnr", "ssim", "sharpness")
BEST = ("psnr_best", "ssim_best")


def run_all(jobs: Sequence[tuple[str, int]]) -> None:
    """Run what results.jsonl does not hold yet, two at a time."""
    done = {(line["variant"], line["seed"]) for line in lines() if line["clips"] >= CLIPS[line["variant"]]}
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: run_one(*job), (job for job in jobs if job not in done)))


def run_one(variant: str, seed: int) -> None:
    """Train one variant with one seed, or resume it, measure it, and append a line to results.jsonl."""
    run = RUNS / f"{variant.replace(' ', '-')}-s{seed}"
    settings = VARIANTS.get(variant, ["model.preset=paper"])
    overrides = [*COMMON, *settings, f"budget.clips={CLIPS[variant]}", f"seed={seed}", f"hydra.run.dir={run}"]
    if (run / "config.yaml").is_file():
        start("-m", "zoo.train", f"resume={run}", f"budget.clips={CLIPS[variant]}")
    else:
        start("-m", "zoo.train", *overrides)
    draws = 1 if variant == "no z" else DRAWS
    evaluate = [f"run={run}", "split=test", f"clips={MEASURED}", f"context={CONTEXT}", f"frames={FRAMES}"]
    evaluate += [f"draws={draws}", f"metrics=[{','.join(METRICS)}]", f"baselines={str(seed == 1).lower()}"]
    before = len(evaluations(run))
    start("-m", "zoo.evaluate", *evaluate)
    bounces = start(str(Path(__file__).relative_to(Path.cwd())), "bounces", str(run))
    line = {
        "variant": variant,
        "seed": seed,
        "clips": CLIPS[variant],
        "command": shlex.join(["python", "-m", "zoo.train", *overrides]),
        "measured": shlex.join(["python", "-m", "zoo.evaluate", *evaluate]),
        "commit": json.loads((run / "environment.json").read_text())["commit"],
        "evaluations": evaluations(run)[before:],
        "bounces": json.loads(bounces.splitlines()[-1]),
    }
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")


def start(*command: str) -> str:
    """Run Python with one thread in a process of its own; return its output."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run([sys.executable, *command], check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return done.stdout


def evaluations(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's own results.jsonl."""
    file = run / "results.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


# ---------------------------------------------------------------- bounces


def measure_bounces(run: str) -> None:
    """Print as one line of JSON whether the learned prior expects the bounces: nothing for another prior.

    auc: of telling the frames in which a digit bounces from the others by the prior's mean standard deviation, over
    the frames after the given ones. around: the mean deviation by the distance in frames from the only bounce within
    four frames, -3 to 3.
    """
    import torch
    from sklearn.metrics import roc_auc_score

    from zoo.data.base import build_set
    from zoo.evaluation.evaluate_run import iter_batches
    from zoo.runs.load import data_config, load

    torch.set_num_threads(1)
    model = load(run)
    if getattr(model, "prior", None) is None:
        print("{}")
        return
    real = build_set(replace(data_config(run), frames=FRAMES), "test", {"video", "bounces"}, seed=0)
    deviations, bounces = [], []
    for clip in iter_batches(real, range(BOUNCE_CLIPS), FRAMES, 32):
        prior = model.infer_latents(clip)[1]
        deviations.append((prior.log_variance / 2).exp().mean(-1))  # (B, T - 1)
        bounces.append(clip["bounces"][:, 1:].any(-1))  # (B, T - 1)
    deviation, bounced = torch.cat(deviations)[:, CONTEXT - 1 :], torch.cat(bounces)[:, CONTEXT - 1 :]
    auc = roc_auc_score(bounced.flatten().numpy(), deviation.flatten().numpy())
    around: dict[int, list[float]] = {offset: [] for offset in range(-3, 4)}
    for row, marks in zip(deviation, bounced, strict=True):
        for t in marks.nonzero().flatten().tolist():
            if 3 <= t < len(row) - 3 and int(marks[t - 3 : t + 4].sum()) == 1:
                for offset, values in around.items():
                    values.append(float(row[t + offset]))
    curve = {str(offset): mean(values) for offset, values in around.items() if values}
    print(json.dumps({"auc": float(auc), "around": curve, "bounces": int(bounced.sum()), "frames": bounced.numel()}))


# ---------------------------------------------------------------- tables


def lines() -> list[dict[str, Any]]:
    """The lines of results.jsonl, the longest training of every variant and seed; none if there is no file yet."""
    stored = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.is_file() else []
    return list({(line["variant"], line["seed"]): line for line in sorted(stored, key=lambda x: x["clips"])}.values())


def values_of(line: dict[str, Any]) -> dict[str, float]:
    """The metrics of the model in one line. Without z the only draw is the best one, too."""
    found: dict[str, float] = {}
    for evaluation in line["evaluations"]:
        if "baseline" not in evaluation:
            found |= evaluation["metrics"]
    return {f"{name}_best": found[name] for name in ("psnr", "ssim") if name in found} | found


def interval(values: Sequence[float], sign: str = "") -> str:
    """The mean over seeds ± half of its 95 % interval (Student's t), as text."""
    from scipy.stats import t

    if len(values) < 2:
        return f"{values[0]:{sign}.3f}" if values else "–"
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{mean(values):{sign}.3f} ± {half:.3f}"


def table() -> Iterator[str]:
    """Markdown lines: models and trivial rows, then the learned prior minus the others."""
    names = (*BEST, "psnr", "ssim", "sharpness")
    by_variant: dict[str, dict[int, dict[str, Any]]] = {}
    for line in lines():
        by_variant.setdefault(line["variant"], {})[line["seed"]] = line
    yield f"| | clips | seeds | {' | '.join(names)} | AUC of bounces |"
    yield "| --- | ---: | ---: |" + " ---: |" * (len(names) + 1)
    for variant, runs in by_variant.items():
        cells = [interval([values_of(run)[name] for run in runs.values()]) for name in names]
        auc = interval([run["bounces"]["auc"] for run in runs.values() if run["bounces"]])
        clips = max(run["clips"] for run in runs.values())
        yield f"| {variant} | {clips:,} | {len(runs)} | {' | '.join(cells)} | {auc} |"
    for name, metrics in trivial_rows(by_variant).items():
        cells = [f"{metrics.get(key, metrics.get(key.removesuffix('_best'), float('nan'))):.3f}" for key in names]
        yield f"| *{name}* | – | – | {' | '.join(cells)} | – |"
    yield ""
    yield f"| the learned prior minus | seeds | {' | '.join(BEST)} |"
    yield "| --- | ---: | ---: | ---: |"
    learned = by_variant.get("learned prior", {})
    for variant in tuple(VARIANTS)[1:]:
        pairs = [
            (values_of(learned[s]), values_of(run)) for s, run in by_variant.get(variant, {}).items() if s in learned
        ]
        cells = [interval([ours[name] - other[name] for ours, other in pairs], "+") for name in BEST]
        yield f"| {variant} | {len(pairs)} | {' | '.join(cells)} |"


def trivial_rows(by_variant: dict[str, dict[int, dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Metrics of samples that need no model, by their name; measured beside the first seed."""
    rows: dict[str, dict[str, float]] = {}
    for evaluation in by_variant.get("learned prior", {}).get(1, {}).get("evaluations", []):
        if "baseline" in evaluation:
            rows.setdefault(evaluation["baseline"], {}).update(evaluation["metrics"])
    return rows


# ---------------------------------------------------------------- pictures


def draw() -> None:
    """Write the curves over the horizon, the prior's deviation around bounces, and films."""
    import matplotlib

    matplotlib.use("Agg")
    draw_curves()
    draw_bounces()
    draw_films()


def draw_curves() -> None:
    """curves.png: PSNR and SSIM of every frame after the given ones, seed 1; the best draw and the mean."""
    from matplotlib import pyplot

    canvas, axes = pyplot.subplots(1, 2, figsize=(10, 3.5))
    steps = range(CONTEXT + 1, FRAMES + 1)
    for line in lines():
        if line["seed"] != 1:
            continue
        for evaluation in line["evaluations"]:
            name = evaluation.get("baseline", line["variant"])
            if "baseline" in evaluation and line["variant"] != "learned prior":
                continue
            for axis, metric in zip(axes, ("psnr", "ssim"), strict=True):
                curves = evaluation.get("curves", {})
                if metric not in curves:
                    continue
                (shown,) = axis.plot(steps, curves.get(f"{metric}_best", curves[metric]), label=name)
                if "baseline" in evaluation:
                    shown.set_linestyle(":")
                elif f"{metric}_best" in curves:
                    axis.plot(steps, curves[metric], color=shown.get_color(), linestyle="--")
    axes[0].set(xlabel="frame", ylabel="PSNR in dB")
    axes[1].set(xlabel="frame", ylabel="SSIM")
    axes[1].legend(fontsize=7)
    canvas.suptitle(f"best of {DRAWS} draws (solid), their mean (dashed), trivial rows (dotted)", fontsize=9)
    canvas.tight_layout()
    canvas.savefig(HERE / "curves.png", dpi=110)


def draw_bounces() -> None:
    """bounces.png: the learned prior's standard deviation around a bounce, a line for each seed."""
    from matplotlib import pyplot

    canvas, axis = pyplot.subplots(figsize=(5, 3))
    for line in lines():
        if line["bounces"]:
            around = line["bounces"]["around"]
            axis.plot(
                [int(offset) for offset in around], list(around.values()), label=f"{line['variant']} {line['seed']}"
            )
    axis.set(xlabel="frames after the bounce", ylabel="σ of the prior, mean over z")
    axis.legend(fontsize=7)
    canvas.tight_layout()
    canvas.savefig(HERE / "bounces.png", dpi=110)


def draw_films() -> None:
    """films.png: two test clips and what each variant (seed 1) makes of their first five frames; two draws of each."""
    import torch

    from zoo.data.base import build_set
    from zoo.evaluation.evaluate_run import iter_batches
    from zoo.runs.load import data_config, load
    from zoo.types import SampleRequest
    from zoo.visualization.grids import save_grid, to_film

    torch.set_num_threads(1)
    runs = {line["variant"]: RUNS / f"{line['variant'].replace(' ', '-')}-s1" for line in lines() if line["seed"] == 1}
    films: list[dict[str, Any]] = [{}, {}]
    for variant, run in runs.items():
        model = load(str(run))
        real = build_set(replace(data_config(str(run)), frames=FRAMES), "test", {"video"}, seed=0)
        (clip,) = iter_batches(real, range(len(films)), FRAMES, len(films))
        for draw in range(1 if variant == "no z" else 2):
            video = model.sample(SampleRequest(FRAMES, clip, CONTEXT, draw=draw)).video
            for number, rows in enumerate(films):
                rows.setdefault("real", to_film(clip["video"][number]))
                rows[variant if variant == "no z" else f"{variant}, draw {draw + 1}"] = to_film(video[number])
    save_grid(HERE / "films.png", films)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            run_all([(variant, seed) for seed in SEEDS for variant in VARIANTS])
        case ["paper"]:
            run_all([(PUBLISHED, 1)])
        case ["bounces", run]:
            measure_bounces(run)
        case ["table"]:
            print("\n".join(table()))
        case ["figure"]:
            draw()
        case _:
            sys.exit(__doc__)
