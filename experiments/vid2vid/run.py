"""vid2vid against its own ablations and pix2pixHD, on puppets: trains, measures, appends to results.jsonl.

    python experiments/vid2vid/run.py            # every variant and seed that results.jsonl does not hold yet
    python experiments/vid2vid/run.py table      # the table of what it holds

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
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's t for a two-sided interval of 95 %, by number of seeds
BETTER = {"warping_error": min, "psnr": max, "ssim": max, "flow_error": min}


def run_all() -> None:
    """Two at a time, seed by seed, so that what is there at any moment is whole seeds."""
    done = {(line["variant"], line["seed"]) for line in lines()}
    jobs = [(variant, seed) for seed in SEEDS for variant in VARIANTS if (variant, seed) not in done]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: run_one(*job), jobs))


def run_one(variant: str, seed: int) -> None:
    run = RUNS / f"{variant.replace(' ', '-')}-s{seed}"
    words = ["-m", "zoo.train", *VARIANTS[variant], *COMMON, f"seed={seed}", f"hydra.run.dir={run}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    began = time.time()
    subprocess.run([sys.executable, *words], check=True, env=environment, stdout=subprocess.DEVNULL)
    seconds = round(time.time() - began)
    measured = subprocess.run(
        [sys.executable, __file__, "measure", str(run)], check=True, env=environment, capture_output=True, text=True
    )
    line = {
        "variant": variant,
        "seed": seed,
        "command": "python " + " ".join(words),
        "seconds": seconds,
        **json.loads(measured.stdout.splitlines()[-1]),
    }
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)


def measure(run: str) -> None:
    """Sample the evaluation clips and print what comes out, as one line of JSON."""
    import torch

    from zoo.run import commit, load

    torch.set_num_threads(1)
    model = load(run)
    protocol = {**EVALUATION, "height": 64, "width": 64, "split": "val", "data": "puppets street"}
    line = {"clips_seen": model.clips_seen, "commit": commit(), "protocol": protocol, "results": evaluate(model, run)}
    line["results_batch_statistics"] = evaluate(with_batch_statistics(model), run)
    print(json.dumps(line))


def with_batch_statistics(model: Any) -> Any:
    """The same weights, normalised in use by the picture at hand, as the original release does."""
    from dataclasses import asdict

    from zoo.blocks.released import fit_state
    from zoo.model import build

    other = build({**asdict(model.config), "norm_statistics": "batch"}, model.spec)
    other.load_state_dict(fit_state(model.state_dict(), other.state_dict(), "the run"))
    return other.eval()


def evaluate(model: Any, run: str) -> dict[str, float]:
    """Every figure of one model, over all evaluation clips."""
    import torch
    from torch.utils.data import default_collate

    from zoo.data.base import build_set
    from zoo.evaluation.paired import paired_metrics
    from zoo.evaluation.temporal import warping_error
    from zoo.flow.occlusion import end_point_error
    from zoo.run import data_config
    from zoo.types import SampleRequest

    frames, context = EVALUATION["frames"], EVALUATION["context"]
    config = replace(data_config(run), frames=frames)
    clips = build_set(config, "val", model.card.wanted() | {"flow", "visibility"}, seed=0)
    paired = paired_metrics()
    values: dict[str, list[float]] = {}
    for index in range(EVALUATION["clips"]):
        clip = default_collate([clips.clip(index, 0, frames)])
        sample = model.sample(SampleRequest(frames, clip, context=context))
        paired.update(sample.video[0, context:], clip["video"][0, context:])
        flow, seen = clip["flow"][:, context:], clip["visibility"][:, context:]
        found = {
            "warping_error": warping_error(sample.video[:, context:], flow, seen).mean(),
            "real_warping_error": warping_error(clip["video"][:, context:], flow, seen).mean(),
            "still_flow_error": end_point_error(torch.zeros_like(flow), flow, seen),
        }
        if "flow" in sample.details:
            found["flow_error"] = end_point_error(sample.details["flow"][:, context + 1 :], flow, seen)
        for name, value in found.items():
            values.setdefault(name, []).append(float(value))
    results = {name: mean(per_clip) for name, per_clip in values.items()}
    results |= {name: float(value) for name, value in paired.compute().items()}
    return {name: round(value, 5) for name, value in results.items()}


def lines() -> list[dict]:
    """What there is."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.is_file() else []


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half of the 95 % interval over seeds."""
    if len(values) < 2:
        return mean(values), float("nan")
    return mean(values), T_95[len(values)] * stdev(values) / len(values) ** 0.5


def table() -> Iterator[str]:
    """Markdown: each variant's figures, and below them the differences from the full model, seed by seed."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for line in lines():
        found.setdefault(line["variant"], {})[line["seed"]] = line["results"]
    metrics = list(BETTER)
    yield "| variant | seeds | " + " | ".join(metrics) + " |"
    yield "| --- |" * 1 + " --- |" * (len(metrics) + 1)
    for variant, seeds in found.items():
        cells = []
        for metric in metrics:
            values = [results[metric] for results in seeds.values() if metric in results]
            cells.append("{:.4f} ± {:.4f}".format(*interval(values)) if values else "none")
        yield f"| {variant} | {len(seeds)} | " + " | ".join(cells) + " |"
    full = found.get("vid2vid", {})
    yield ""
    yield "| variant minus vid2vid, same seed | " + " | ".join(metrics) + " |"
    yield "| --- |" + " --- |" * len(metrics)
    for variant, seeds in found.items():
        cells = []
        for metric in metrics:
            pairs = [(r[metric], full[s][metric]) for s, r in seeds.items() if s in full and metric in r]
            cells.append("{:+.4f} ± {:.4f}".format(*interval([a - b for a, b in pairs])) if pairs else "none")
        if variant != "vid2vid":
            yield f"| {variant} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else "run"
    if what == "measure":
        measure(sys.argv[2])
    elif what == "table":
        print("\n".join(table()))
    else:
        run_all()
