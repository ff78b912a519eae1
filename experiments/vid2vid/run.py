"""vid2vid against its own ablations and pix2pixHD on puppets: trains, measures, appends to results.jsonl.

    python experiments/vid2vid/run.py            # every variant and seed that results.jsonl does not hold yet
    python experiments/vid2vid/run.py table      # prints the tables of README.md
    python experiments/vid2vid/run.py figure     # writes figure.png

Each training is one process with one thread; two run at a time. Shapes: B clips, T frames, H x W pixels.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
RUNS = Path("runs/vid2vid-study")
VARIANTS = {
    "vid2vid": ["model=vid2vid", "model.foreground=true"],
    "pix2pixhd": ["model=pix2pixhd", "model.blocks=9"],
    "no flow warping": ["model=vid2vid", "model.foreground=true", "model.uses_flow=false"],
    "no D_V": ["model=vid2vid", "model.foreground=true", "model.temporal_scales=0"],
    "no foreground prior": ["model=vid2vid", "model.foreground=false"],
}
SEEDS = (1, 2, 3)
CLIPS = 1000
COMMON = [
    "data=puppets",
    "data.height=64",
    "data.width=64",
    "data.workers=0",
    "data.batch_size=4",
    "model.norm=batch",
    "model.norm_statistics=running",
    f"budget.clips={CLIPS}",
    "model.perceptual=none",
    "evaluation.rounds=1",
    "trainer.threads=1",
    "trainer.progress=false",
    "logger.wandb=disabled",
]
EVALUATION = {"clips": 64, "frames": 16, "context": 1}
T_95 = {
    2: 12.706,
    3: 4.303,
    4: 3.182,
    5: 2.776,
}  # number of seeds -> Student's t for a 95 % interval
BETTER = {"warping_error": min, "psnr": max, "ssim": max, "flow_error": min}


def run_all() -> None:
    """Run what results.jsonl does not hold yet, two at a time; one seed after another, so that seeds are complete."""
    done = {(line["variant"], line["seed"]) for line in lines()}
    jobs = [(variant, seed) for seed in SEEDS for variant in VARIANTS if (variant, seed) not in done]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: run_one(*job), jobs))


def run_one(variant: str, seed: int) -> None:
    """Train and measure one variant with one seed, and append a line to results.jsonl."""
    run = RUNS / f"{variant.replace(' ', '-')}-s{seed}"
    arguments = ["-m", "zoo.train", *VARIANTS[variant], *COMMON, f"seed={seed}", f"hydra.run.dir={run}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    start = time.time()
    subprocess.run([sys.executable, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)
    seconds = round(time.time() - start)
    measured = subprocess.run(
        [sys.executable, __file__, "measure", str(run)], check=True, env=environment, capture_output=True, text=True
    )
    line = {
        "variant": variant,
        "seed": seed,
        "command": "python " + " ".join(arguments),
        "seconds": seconds,
        **json.loads(measured.stdout.splitlines()[-1]),
    }
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)


def measure(run: str) -> None:
    """Evaluate a run, and print the results as one line of JSON."""
    import torch

    from zoo.runs.load import load
    from zoo.runs.provenance import find_commit

    torch.set_num_threads(1)
    model = load(run)
    protocol = {**EVALUATION, "height": 64, "width": 64, "split": "val", "data": "puppets street"}
    line = {
        "clips_seen": model.clips_seen,
        "commit": find_commit(),
        "protocol": protocol,
        "results": evaluate(model, run),
    }
    line["results_batch_statistics"] = evaluate(with_batch_statistics(model), run)
    print(json.dumps(line))


def with_batch_statistics(model: Any) -> Any:
    """The same weights, sampled with the norm statistics of the current image, as in the original release."""
    from dataclasses import asdict

    from zoo.model import build
    from zoo.models.image_translation.released import fit_state

    other = build({**asdict(model.config), "norm_statistics": "batch"}, model.spec)
    other.load_state_dict(fit_state(model.state_dict(), other.state_dict(), "the run"))
    return other.eval()


def evaluate(model: Any, run: str) -> dict[str, float]:
    """Every metric of one model, over all evaluation clips."""
    import torch
    from torch.utils.data import default_collate

    from zoo.data.base import build_set
    from zoo.evaluation.catalogue import METRICS
    from zoo.evaluation.choice import PAIRED_DEFAULTS
    from zoo.evaluation.metric import Setup
    from zoo.evaluation.metrics.warping import warping_error
    from zoo.flow.occlusion import end_point_error
    from zoo.runs.load import data_config
    from zoo.types import SampleRequest

    frames, context = EVALUATION["frames"], EVALUATION["context"]
    config = replace(data_config(run), frames=frames)
    clips = build_set(config, "val", model.card.wanted() | {"flow", "visibility"}, seed=0)
    setup = Setup(frames - context, EVALUATION["clips"])
    paired = {name: METRICS[name].load()(name, setup) for name in PAIRED_DEFAULTS}
    values: dict[str, list[float]] = {}
    for index in range(EVALUATION["clips"]):
        clip = default_collate([clips.clip(index, 0, frames)])
        sample = model.sample(SampleRequest(frames, clip, context=context))
        for metric in paired.values():
            metric.update(sample.video[:, context:], clip["video"][:, context:], draw=0)
        flow, visible = clip["flow"][:, context:], clip["visibility"][:, context:]
        errors = {
            "warping_error": warping_error(sample.video[:, context:], flow, visible).mean(),
            "real_warping_error": warping_error(clip["video"][:, context:], flow, visible).mean(),
            "still_flow_error": end_point_error(torch.zeros_like(flow), flow, visible),
        }
        if "flow" in sample.details:
            errors["flow_error"] = end_point_error(sample.details["flow"][:, context + 1 :], flow, visible)
        for name, value in errors.items():
            values.setdefault(name, []).append(float(value))
    results = {name: mean(per_clip) for name, per_clip in values.items()}
    results |= {name: metric.compute()[name] for name, metric in paired.items()}
    return {name: round(value, 5) for name, value in results.items()}


def lines() -> list[dict[str, Any]]:
    """The lines of results.jsonl; none if the file does not exist yet."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.is_file() else []


def interval(values: list[float]) -> tuple[float, float]:
    """Mean over seeds, and half of its 95 % interval."""
    if len(values) < 2:
        return mean(values), float("nan")
    return mean(values), T_95[len(values)] * stdev(values) / len(values) ** 0.5


Results = dict[tuple[str, str], dict[int, dict[str, float]]]  # (variant, norm statistics) -> seed -> metric -> value


def read_results() -> Results:
    """The metric values of results.jsonl, with both kinds of norm statistics."""
    results: Results = {}
    for line in lines():
        for statistics, key in (("running", "results"), ("batch", "results_batch_statistics")):
            results.setdefault((line["variant"], statistics), {})[line["seed"]] = line[key]
    return results


def better_statistics(results: Results, variant: str) -> str:
    """The norm statistics, running or batch, that give a variant the higher mean PSNR."""
    psnr = {kind: mean(values["psnr"] for values in results[variant, kind].values()) for kind in ("running", "batch")}
    return max(psnr, key=lambda kind: psnr[kind])


def table() -> Iterator[str]:
    """Markdown lines: every variant with both norm statistics; then each with its better ones, minus vid2vid."""
    results = read_results()
    columns = " | ".join(BETTER)
    yield f"| variant | norm statistics | seeds | {columns} |"
    yield "| --- | --- | --- |" + " --- |" * len(BETTER)
    for (variant, statistics), seeds in results.items():
        cells = [format_interval([values[m] for values in seeds.values() if m in values]) for m in BETTER]
        yield f"| {variant} | {statistics} | {len(seeds)} | {' | '.join(cells)} |"
    yield ""
    yield f"| variant minus vid2vid, by seed | norm statistics | {columns} |"
    yield "| --- | --- |" + " --- |" * len(BETTER)
    full = results["vid2vid", better_statistics(results, "vid2vid")]
    for variant in VARIANTS:
        if variant == "vid2vid" or (variant, "running") not in results:
            continue
        statistics = better_statistics(results, variant)
        seeds = results[variant, statistics]
        differences = [[r[m] - full[s][m] for s, r in seeds.items() if s in full and m in r] for m in BETTER]
        cells = [format_interval(values, "+") for values in differences]
        yield f"| {variant} | {statistics} | {' | '.join(cells)} |"


def format_interval(values: list[float], sign: str = "") -> str:
    """``0.0474 ± 0.0187``, or ``none`` without values."""
    return "{:{sign}.4f} ± {:.4f}".format(*interval(values), sign=sign) if values else "none"


def draw() -> None:
    """Write figure.png: one point per seed, each variant with its better norm statistics.

    The dashed lines are the warping error of the real clips and the flow error of predicting no motion.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    results = read_results()
    variants = [variant for variant in VARIANTS if (variant, "running") in results]
    canvas, axes = pyplot.subplots(1, len(BETTER), figsize=(4 * len(BETTER), 3.2), sharey=True)
    for axis, metric in zip(axes, BETTER, strict=True):
        for row, variant in enumerate(variants):
            seeds = results[variant, better_statistics(results, variant)]
            values = [of_seed[metric] for of_seed in seeds.values() if metric in of_seed]
            axis.plot(values, [row] * len(values), "o", color="tab:blue", alpha=0.6)
            if values:
                axis.plot([mean(values)], [row], "|", color="black", markersize=18)
        axis.set(title=f"{metric} ({'lower' if BETTER[metric] is min else 'higher'} is better)")
        axis.grid(axis="x", alpha=0.3)
        baseline = {"warping_error": "real_warping_error", "flow_error": "still_flow_error"}.get(metric)
        if baseline:
            axis.axvline(lines()[0]["results"][baseline], linestyle="--", color="grey")
    axes[0].set(yticks=range(len(variants)), yticklabels=variants, ylim=(len(variants) - 0.5, -0.5))
    canvas.tight_layout()
    canvas.savefig(HERE / "figure.png", dpi=100)


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else "run"
    if what == "measure":
        measure(sys.argv[2])
    elif what == "table":
        print("\n".join(table()))
    elif what == "figure":
        draw()
    else:
        run_all()
