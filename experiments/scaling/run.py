"""How much faster are two processes than one? On this machine by measurement, on 8 and 64 GPUs on paper.

    python experiments/scaling/run.py          # measures, A B C A B C …; writes results.jsonl
    python experiments/scaling/run.py table    # prints the tables of README.md

One thread a process, the same clips a step in each process. One process alone; two at a time that know nothing of each
other, which share the machine's memory and caches; and two that train one model together (strategy=ddp).
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
from pathlib import Path

from zoo.runs.metrics_csv import read_curves
from zoo.runs.provenance import commit

HERE = Path(__file__).parent
ROUNDS = 2
STEPS = 7
WARM = 2  # steps that are not counted
BATCH = 4  # clips a step and process
SAME_WORK = ["model.past_frames=1", "model.generated_start=0"]  # every clip starts from one frame: steps are alike
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
"""Bytes a second each way, as published: NVLink of an H100 has 900 GB/s both ways together, a port of NDR 400 Gb/s."""
STEP_SECONDS = (0.05, 0.2, 1.0)
"""Steps of a GPU that the paper table asks about."""


def run_one(words: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a training."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    typed = [sys.executable, "-m", "zoo.train", *words, f"hydra.run.dir={folder}"]
    return subprocess.Popen(typed, env=environment, stdout=subprocess.DEVNULL)


def clips_a_second(folder: Path) -> float:
    """Median over the steps after the first few, over all ranks."""
    rates = [value for _, value in read_curves(folder / "metrics.csv")["perf/clips_per_s"]]
    return statistics.median(rates[WARM:])


def measure(words: Sequence[str], copies: int) -> float:
    """Clips a second of so many trainings at a time, all of them added."""
    folder = Path(tempfile.mkdtemp(prefix="scaling-"))
    try:
        trainings = [run_one(words, folder / str(copy)) for copy in range(copies)]
        assert not any(training.wait() for training in trainings)
        return sum(clips_a_second(folder / str(copy)) for copy in range(copies))
    finally:
        shutil.rmtree(folder)


def measure_all() -> None:
    """Every model, condition after condition, again and again: a line a round."""
    for model, size in MODELS.items():
        words = [f"model={model}", *size, *COMMON]
        for number in range(ROUNDS):
            found = {
                "one": measure([*words, f"budget.clips={STEPS * BATCH}"], 1),
                "two apart": measure([*words, f"budget.clips={STEPS * BATCH}"], 2),
                "two together": measure([*words, f"budget.clips={2 * STEPS * BATCH}", *TOGETHER], 1),
            }
            typed = shlex.join(["python", "-m", "zoo.train", *words, *TOGETHER])
            line = {"model": model, "batch": BATCH, "round": number, **found, "command": typed, "commit": commit()}
            with (HERE / "results.jsonl").open("a") as out:
                out.write(json.dumps(line) + "\n")
            print(model, number, {key: round(value, 3) for key, value in found.items()})


def measured() -> list[str]:
    """Markdown: what came out, medians of the rounds; efficiencies are ratios inside a round."""
    lines = [json.loads(line) for line in (HERE / "results.jsonl").read_text().splitlines()]
    rows = [
        "| model | clips per step and process | rounds | one, clips/s | two apart | two together | together / 2 one |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for model, batch in dict.fromkeys((line["model"], line["batch"]) for line in lines):
        own = [line for line in lines if (line["model"], line["batch"]) == (model, batch)]
        rates = [f"{statistics.median(line[key] for line in own):.2f}" for key in ("one", "two apart", "two together")]
        ideal = [line["two together"] / (2 * line["one"]) for line in own]
        share = f"{statistics.median(ideal):.0%} ({min(ideal):.0%} to {max(ideal):.0%})"
        rows.append(f"| `{model}` | {batch} | {len(own)} | {' | '.join([*rates, share])} |")
    return rows


def on_paper() -> list[str]:
    """Markdown: the share of a step that is not spent waiting for gradients, if nothing overlaps.

    A ring moves 2 (n-1)/n of the gradients over each link: a step of s seconds lasts s + 2 (n-1)/n G/B.
    """
    rows = []
    for model, size in MODELS.items():
        gradients = gradient_bytes(model, size)
        rows += [f"`{model}`: {gradients / 2**20:.1f} MiB of gradients a step", ""]
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
    """Of all parameters that are trained, in single precision, times the optimizer steps that a clip is made of."""
    from hydra import compose, initialize_config_dir

    from zoo.config.compose import conf_dir, prepare_hydra
    from zoo.model import build
    from zoo.training.plan import plan

    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        planned = plan(compose("train", overrides=[f"model={model}", *size]))
    from dataclasses import asdict

    built = build(asdict(planned.settings.model), planned.spec)
    trained = sum(p.numel() * 4 for p in built.parameters() if p.requires_grad)
    frames = getattr(planned.settings.model, "frames_per_step", None)
    return trained * (-(-planned.spec.frames // frames) if frames else 1)


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        print("\n".join([*measured(), "", *on_paper()]))
    else:
        measure_all()
