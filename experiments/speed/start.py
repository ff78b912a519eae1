"""How long does a command take to start? Help and errors in seconds; the first training step relative to the time of
importing torch and lightning.

    python experiments/speed/start.py                           # everything, five minutes; writes start.json
    python experiments/speed/start.py "help of train" vid2vid   # only these
    python experiments/speed/start.py --before ../earlier       # alternates with another checkout of the zoo

Every measurement is a process of its own, with the files in the page cache. Each training follows a process that only
imports torch and lightning, and the ratio is that of the two. start.json holds the results by commit.
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
"""Repetitions of trainings, and of commands that take about a second."""
IMPORTS = "import torch, lightning, time; print(time.monotonic())"
"""Prints the time itself, since the exit of the process takes another half second."""
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
"""`python -m zoo.train` that prints when its first step begins and ends, on the machine's monotonic clock."""


def run(arguments: list[str], folder: Path, checkout: Path) -> tuple[float, str]:
    """Run Python; return its start time and its output."""
    start = time.monotonic()
    command = [sys.executable, *arguments]
    process = subprocess.run(
        command, cwd=folder, env=environment(checkout), capture_output=True, text=True, check=False
    )
    return start, process.stdout


def time_command(arguments: str, folder: Path, checkout: Path) -> float:
    """Seconds that a command takes."""
    start, _ = run(["-m", *arguments.split()], folder, checkout)
    return time.monotonic() - start


def time_imports(folder: Path, checkout: Path) -> float:
    """Seconds until torch and lightning are imported."""
    start, output = run(["-c", IMPORTS], folder, checkout)
    return float(output) - start


def time_first_step(overrides: str, folder: Path, checkout: Path) -> tuple[float, float]:
    """Seconds from the command until the first training step begins, and until it has ended and wandb is open."""
    run_folder = tempfile.mkdtemp(dir=folder)
    start, output = run(["-c", FIRST_STEP, *overrides.split(), f"hydra.run.dir={run_folder}"], folder, checkout)
    line = next(line for line in output.splitlines() if line.startswith("first step"))
    begun, ended = map(float, line.split()[2:])
    return begun - start, ended - start


def environment(checkout: Path) -> dict[str, str]:
    """The environment of a user who is not logged in to wandb."""
    variables = {name: value for name, value in os.environ.items() if name != "WANDB_API_KEY"}
    return variables | {"PYTHONPATH": str(checkout)}


def measure_command(arguments: str, folder: Path, checkouts: list[Path]) -> list[dict[str, Any]]:
    """Time a command that does not train, alternating between the checkouts; a result for each checkout."""
    times = [[time_command(arguments, folder, checkout) for checkout in checkouts] for _ in range(MORE_ROUNDS)]
    return [{"command": f"python -m {arguments}", "seconds": spread(own)} for own in zip(*times, strict=True)]


def measure_training(overrides: str, folder: Path, checkouts: list[Path]) -> list[dict[str, Any]]:
    """Time the imports, then the first step of each checkout, in each round; a result for each checkout."""
    rounds = []
    for _ in range(ROUNDS):
        imports = time_imports(folder, checkouts[0])
        rounds.append([(imports, *time_first_step(overrides, folder, checkout)) for checkout in checkouts])
    return [
        {
            "command": f"python -m zoo.train {overrides}",
            "imports": spread([imports for imports, _, _ in own]),
            "begun": spread([begun for _, begun, _ in own]),
            "ended": spread([ended for _, _, ended in own]),
            "ratio": spread([begun / imports for imports, begun, _ in own]),
        }
        for own in zip(*rounds, strict=True)
    ]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, minimum, maximum and number of the values."""
    summary = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: round(value, 3) for name, value in summary.items()} | {"times": len(values)}


def write_footage(folder: Path) -> None:
    """Write two short videos of noise, 128 x 256 pixels."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    for name in ("one", "two"):
        write_video(folder / f"{name}.mp4", noise.integers(0, 256, (60, 128, 256, 3), np.uint8), 25)


def commit_of(checkout: Path) -> str:
    """The commit of a checkout, followed by + if the zoo has uncommitted changes."""
    git = ["git", "-C", str(checkout)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True).stdout
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "zoo", "conf"], check=False).returncode
    return head.strip() + "+" * changed


def main() -> None:
    """Measure the named commands and trainings, and update their entries in start.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=[*COMMANDS, *TRAININGS], help="default: all")
    parser.add_argument("--before", type=Path, help="another checkout of the zoo, to alternate with this one")
    args = parser.parse_args()
    checkouts = [path.resolve() for path in (args.before, HERE.parents[1]) if path]
    time_imports(HERE, checkouts[-1])  # reads the files into the page cache
    for name in args.names:
        with tempfile.TemporaryDirectory(prefix="start-") as scratch:
            folder = Path(scratch)
            write_footage(folder / "footage")
            if name in COMMANDS:
                results = measure_command(COMMANDS[name], folder, checkouts)
            else:
                results = measure_training(TRAININGS[name], folder, checkouts)
        entries = json.loads(FILE.read_text()) if FILE.is_file() else {}
        entries[name] = {commit_of(checkout): result for checkout, result in zip(checkouts, results, strict=True)}
        FILE.write_text(json.dumps(entries, indent=1) + "\n")
        print(name, json.dumps(entries[name]), flush=True)


if __name__ == "__main__":
    main()
