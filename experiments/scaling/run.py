"""How much faster are two processes than one? Measured on this machine, calculated for 8 and 64 GPUs.

    python experiments/scaling/run.py          # measures, A B C A B C …; writes results.jsonl
    python experiments/scaling/run.py table    # prints the tables of README.md

Three conditions, with one thread per process and the same clips per step in each process: one process alone; two
independent processes at a time, which share the machine's memory and caches; two processes that train one model
(strategy=ddp).
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from zoo.runs.metrics_csv import read_curves
from zoo.runs.provenance import find_commit

HERE = Path(__file__).parent
ROUNDS = 2
STEPS = 7
WARM_UP = 2  # first steps, which are not counted
BATCH = 4  # clips per step and process
SAME_WORK = ["model.past_frames=1", "model.generated_start=0"]  # every clip starts from one real frame
MODELS = {"vid2vid": ["data.height=128", "data.width=128", *SAME_WORK]}
COMMON = [
    *(
        f"data.batch_size={BATCH}",
        "data.workers=0",
        "trainer.threads=1",
        "trainer.log_every=1",
        "trainer.progress=false",
    ),
    *("evaluation.rounds=1", "evaluation.clips=1", "callbacks.gallery_clips=1", "logger.wandb=disabled"),
]
TOGETHER = ["strategy=ddp", "strategy.accelerator=cpu", "strategy.devices=2"]

LINKS = {
    "NVLink 4 inside a machine": 450e9,
    "InfiniBand NDR, 400 Gb/s a GPU": 50e9,
    "Ethernet, 25 Gb/s a machine": 3.1e9,
}
"""Published bandwidth in bytes per second and direction. NVLink of an H100 has 900 GB/s in both directions together, a
port of NDR 400 Gb/s."""
STEP_SECONDS = (0.05, 0.2, 1.0)
"""Durations of a step for which the scaling on GPUs is calculated."""


def start_training(overrides: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a training in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    command = [sys.executable, "-m", "zoo.train", *overrides, f"hydra.run.dir={folder}"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def clips_per_second(folder: Path) -> float:
    """Clips per second of a run over all ranks, median of the steps after the warm-up."""
    rates = [value for _, value in read_curves(folder / "metrics.csv")["perf/clips_per_s"]]
    return statistics.median(rates[WARM_UP:])


def measure(overrides: Sequence[str], copies: int) -> float:
    """Run ``copies`` of a training at a time; return the sum of their clips per second."""
    folder = Path(tempfile.mkdtemp(prefix="scaling-"))
    try:
        trainings = [start_training(overrides, folder / str(copy)) for copy in range(copies)]
        assert not any(training.wait() for training in trainings)
        return sum(clips_per_second(folder / str(copy)) for copy in range(copies))
    finally:
        shutil.rmtree(folder)


def measure_all() -> None:
    """Measure the conditions of every model in turn; append a line to results.jsonl after each round."""
    for model, size in MODELS.items():
        overrides = [f"model={model}", *size, *COMMON]
        for number in range(ROUNDS):
            rates = {
                "one": measure([*overrides, f"budget.clips={STEPS * BATCH}"], 1),
                "two apart": measure([*overrides, f"budget.clips={STEPS * BATCH}"], 2),
                "two together": measure([*overrides, f"budget.clips={2 * STEPS * BATCH}", *TOGETHER], 1),
            }
            command = shlex.join(["python", "-m", "zoo.train", *overrides, *TOGETHER])
            line = {
                "model": model,
                "batch": BATCH,
                "round": number,
                **rates,
                "command": command,
                "commit": find_commit(),
            }
            with (HERE / "results.jsonl").open("a") as out:
                out.write(json.dumps(line) + "\n")
            print(model, number, {key: round(value, 3) for key, value in rates.items()})


def measured_table() -> list[str]:
    """Markdown lines: medians of the measured rounds; the efficiency is a ratio within a round."""
    lines = [json.loads(line) for line in (HERE / "results.jsonl").read_text().splitlines()]
    rows = [
        "| model | clips per step and process | rounds | one, clips/s | two apart | two together | together / 2 one |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for model, batch in dict.fromkeys((line["model"], line["batch"]) for line in lines):
        own = [line for line in lines if (line["model"], line["batch"]) == (model, batch)]
        rates = [f"{statistics.median(line[key] for line in own):.2f}" for key in ("one", "two apart", "two together")]
        shares = [line["two together"] / (2 * line["one"]) for line in own]
        efficiency = f"{statistics.median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})"
        rows.append(f"| `{model}` | {batch} | {len(own)} | {' | '.join([*rates, efficiency])} |")
    return rows


def calculated_table() -> list[str]:
    """Markdown lines: the share of a step not spent waiting for gradients, if communication overlaps nothing.

    A ring all-reduce over n GPUs moves 2 (n-1)/n of the gradients over each link. With G bytes of gradients and a
    bandwidth of B, a step of s seconds takes s + 2 (n-1)/n G/B.
    """
    rows = []
    for model, size in MODELS.items():
        gradients = gradient_bytes(model, size)
        rows += [f"`{model}`: {gradients / 2**20:.1f} MiB of gradients per step", ""]
        rows += ["| link | GPUs | " + " | ".join(f"step of {s:g} s" for s in STEP_SECONDS) + " |"]
        rows += ["| --- | ---: |" + " ---: |" * len(STEP_SECONDS)]
        for link, speed in LINKS.items():
            for gpus in (8, 64):
                wait = 2 * (gpus - 1) / gpus * gradients / speed
                shares = (f"{s / (s + wait):.1%}" for s in STEP_SECONDS)
                rows.append(f"| {link} | {gpus} | {' | '.join(shares)} |")
        rows.append("")
    return rows


def gradient_bytes(model: str, size: Sequence[str]) -> int:
    """Bytes of the gradients of all trained parameters in single precision, times the optimizer steps per clip."""
    from hydra import compose, initialize_config_dir

    from zoo.config.compose import conf_dir, prepare_hydra
    from zoo.model import build
    from zoo.training.plan import plan

    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        planned = plan(compose("train", overrides=[f"model={model}", *size]))
    built = build(asdict(planned.settings.model), planned.spec)
    trained = sum(p.numel() * 4 for p in built.parameters() if p.requires_grad)
    frames = getattr(planned.settings.model, "frames_per_step", None)
    return trained * (-(-planned.spec.frames // frames) if frames else 1)


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        print("\n".join([*measured_table(), "", *calculated_table()]))
    else:
        measure_all()
