"""How long does a command take to begin? Help and mistakes in seconds, and the first training step against the time
that importing torch and lightning takes by itself.

    python experiments/speed/start.py                           # all of it, five minutes; writes start.json
    python experiments/speed/start.py "help of train" vid2vid   # some of it
    python experiments/speed/start.py --before ../earlier       # in turn with another checkout of the zoo, by commit

Every measurement is a process of its own, with the files in memory. A training comes after a process that only imports,
again and again, and the ratio is of neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.decode import write_video

HERE = Path(__file__).parent
FILE = HERE / "start.json"
ROUNDS, MORE_ROUNDS = 3, 5
"""Of trainings, and of what takes a second."""
IMPORTS = "import torch, lightning, time; print(time.monotonic())"
"""Without the end of the process, which takes half a second more."""
COMMANDS = {
    "help of train": "zoo.train --help",
    "help of sample": "zoo.sample --help",
    "help of evaluate": "zoo.evaluate --help",
    "help of compare": "zoo.compare --help",
    "list": "zoo.list",
    "settings of train": "zoo.train --cfg job",
    "a wrong model": "zoo.train model=vid2vidd",
    "a wrong setting": "zoo.train model.widht=3",
    "a wrong metric": "zoo.train evaluation.metrics=[fdv]",
}
TRAININGS = {
    "vid2vid": "model=vid2vid",
    "videovae": "model=videovae",
    "pix2pixhd": "model=pix2pixhd",
    "classifier": "model=classifier",
    "segmenter": "model=segmenter",
    "vid2vid without wandb": "model=vid2vid logger.wandb=disabled",
    "vid2vid on a folder": "model=vid2vid data=folder data.root=footage data.condition=edges",
}

FIRST_STEP = """
import os, sys, time
from zoo import train
from zoo.training import trainer

def watched(plan, run, build=trainer.build_callbacks):
    from lightning import Callback

    class Watch(Callback):
        def on_train_batch_start(self, *_):
            self.begun = time.monotonic()

        def on_train_batch_end(self, *_):
            print("first step", self.begun, time.monotonic(), flush=True)
            os._exit(0)

    return [*build(plan, run), Watch()]

trainer.build_callbacks = watched
train.main()
"""
"""`python -m zoo.train` with a watch; its clock is that of the whole machine."""


def run(arguments: list[str], folder: Path, checkout: Path) -> tuple[float, str]:
    """Run Python: when it began, and what it printed."""
    start = time.monotonic()
    typed = [sys.executable, *arguments]
    told = subprocess.run(typed, cwd=folder, env=environment(checkout), capture_output=True, text=True, check=False)
    return start, told.stdout


def command(words: str, folder: Path, checkout: Path) -> float:
    """Seconds from start to end."""
    start, _ = run(["-m", *words.split()], folder, checkout)
    return time.monotonic() - start


def imports(folder: Path, checkout: Path) -> float:
    """Seconds until torch and lightning are imported."""
    start, told = run(["-c", IMPORTS], folder, checkout)
    return float(told) - start


def first_step(words: str, folder: Path, checkout: Path) -> tuple[float, float]:
    """Seconds from the command until the first step of a training begins, and until it has ended and wandb is open."""
    there = tempfile.mkdtemp(dir=folder)
    start, told = run(["-c", FIRST_STEP, *words.split(), f"hydra.run.dir={there}"], folder, checkout)
    line = next(line for line in told.splitlines() if line.startswith("first step"))
    begun, ended = map(float, line.split()[2:])
    return begun - start, ended - start


def environment(checkout: Path) -> dict[str, str]:
    """That of a user who is not logged in to wandb."""
    kept = {name: value for name, value in os.environ.items() if name != "WANDB_API_KEY"}
    return kept | {"PYTHONPATH": str(checkout)}


def measure_command(words: str, folder: Path, checkouts: list[Path]) -> list[dict[str, Any]]:
    """A command that trains nothing, of one checkout after the other, again and again."""
    times = [[command(words, folder, checkout) for checkout in checkouts] for _ in range(MORE_ROUNDS)]
    return [{"command": f"python -m {words}", "seconds": spread(own)} for own in zip(*times, strict=True)]


def measure_training(words: str, folder: Path, checkouts: list[Path]) -> list[dict[str, Any]]:
    """Imports, a training of each checkout, imports, a training of each …"""
    rounds = []
    for _ in range(ROUNDS):
        alone = imports(folder, checkouts[0])
        rounds.append([(alone, *first_step(words, folder, checkout)) for checkout in checkouts])
    return [
        {
            "command": f"python -m zoo.train {words}",
            "imports": spread([alone for alone, _, _ in own]),
            "begun": spread([begun for _, begun, _ in own]),
            "ended": spread([ended for _, _, ended in own]),
            "ratio": spread([begun / alone for alone, begun, _ in own]),
        }
        for own in zip(*rounds, strict=True)
    ]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, least and most of how many."""
    figures = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: round(value, 3) for name, value in figures.items()} | {"times": len(values)}


def write_footage(folder: Path) -> None:
    """Two short films of noise, 128 x 256."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    for name in ("one", "two"):
        write_video(folder / f"{name}.mp4", noise.integers(0, 256, (60, 128, 256, 3), np.uint8), 25)


def commit_of(checkout: Path) -> str:
    """What stands there, with a + where the zoo was changed since."""
    git = ["git", "-C", str(checkout)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True).stdout
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "zoo", "conf"], check=False).returncode
    return head.strip() + "+" * changed


def main() -> None:
    """Measure what is asked for, and put it beside what start.json has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=[*COMMANDS, *TRAININGS])
    parser.add_argument("--before", type=Path, help="another checkout of the zoo, measured in turn with this one")
    asked = parser.parse_args()
    checkouts = [path.resolve() for path in (asked.before, HERE.parents[1]) if path]
    imports(HERE, checkouts[-1])  # from the disk into memory
    for name in asked.names:
        with tempfile.TemporaryDirectory(prefix="start-") as there:
            folder = Path(there)
            write_footage(folder / "footage")
            if name in COMMANDS:
                found = measure_command(COMMANDS[name], folder, checkouts)
            else:
                found = measure_training(TRAININGS[name], folder, checkouts)
        kept = json.loads(FILE.read_text()) if FILE.is_file() else {}
        kept[name] = {commit_of(checkout): figures for checkout, figures in zip(checkouts, found, strict=True)}
        FILE.write_text(json.dumps(kept, indent=1) + "\n")
        print(name, json.dumps(kept[name]), flush=True)


if __name__ == "__main__":
    main()
