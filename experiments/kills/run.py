"""Kill trainings with SIGKILL at random moments, resume them, and compare each with an uninterrupted training.

    python experiments/kills/run.py            # every registered model, at least 25 kills each; writes results.jsonl
    python experiments/kills/run.py vid2vid    # one model
    python experiments/kills/run.py docs       # writes the table into docs/guides/resuming.md, between its two marks

The killed process is a complete training: data, steps, rounds of evaluation, and a checkpoint after every step, so that
many kills interrupt the writing of a checkpoint. It is forked from a process that has already imported the libraries,
since imports take most of the time of a short training.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp

import torch

from zoo import list_models
from zoo.io.atomic import partial_path
from zoo.runs.provenance import find_commit
from zoo.testing.rerun import differing_files, start_or_resume, tiny_plan

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/guides/resuming.md"
MARKS = ("<!-- kills -->", "<!-- end of kills -->")
KILLS, CLIPS = 25, 60
STARTUP = 1.0  # seconds added to the longest delay: a training always killed before its first step would never end


@dataclass
class Tally:
    """Counts over all trainings of a model.

    kills: all of them. in_writing: kills that left a half-written checkpoint. before_first: kills that left no
    checkpoint at all. trainings: trainings that ended. different: trainings that ended unlike the undisturbed one.
    """

    kills: int = 0
    in_writing: int = 0
    before_first: int = 0
    trainings: int = 0
    different: int = 0


def kill_repeatedly(name: str, kills: int, clips: int, folder: Path, seed: int = 0) -> Tally:
    """Train until at least ``kills`` kills have happened; compare every training that ends with an undisturbed one."""
    rng = random.Random(seed)
    undisturbed = folder / "undisturbed"
    start = time.monotonic()
    assert wait_for_end(fork_training(name, clips, undisturbed))
    duration = time.monotonic() - start
    tally = Tally()
    while tally.kills < kills:
        run = folder / f"training{tally.trainings}"
        while True:
            process = fork_training(name, clips, run)
            if kill_after(process, rng.uniform(0.0, STARTUP + duration / 3)):
                tally.kills += 1
                tally.in_writing += any(partial_path(run / file).exists() for file in ("last.ckpt", "best.ckpt"))
                tally.before_first += not (run / "last.ckpt").exists()
            else:
                break
        tally.trainings += 1
        tally.different += bool(differing_files(run, undisturbed))
    return tally


def fork_training(name: str, clips: int, run: Path) -> int:
    """Start or resume a training in a process of its own; return the process id."""
    process = os.fork()
    if process:
        return process
    try:
        os.setsid()
        start_or_resume(tiny_plan(name, clips), run)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def kill_after(process: int, seconds: float) -> bool:
    """Kill a process after a delay; return whether it was still running."""
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    return not wait_for_end(process)


def wait_for_end(process: int) -> bool:
    """Wait for a process; return whether it finished, and not by SIGKILL. Any other exit status raises."""
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, -signal.SIGKILL), f"a training exited with status {status}, expected 0 or SIGKILL"
    return status == 0


def main(names: list[str]) -> None:
    """Test each model, all registered ones by default; append a line to results.jsonl and print it."""
    torch.set_num_threads(1)
    for name in names or list_models():
        folder = Path(mkdtemp(prefix=f"kills-{name}-"))
        try:
            tally = kill_repeatedly(name, KILLS, CLIPS, folder)
        finally:
            shutil.rmtree(folder)
        provenance = {"command": f"python experiments/kills/run.py {name}", "commit": find_commit()}
        with (HERE / "results.jsonl").open("a") as out:
            out.write(json.dumps({"model": name, **asdict(tally), **provenance}) + "\n")
        print(name, tally)


def table() -> str:
    """The newest line of each model as a Markdown table."""
    lines = {line["model"]: line for line in map(json.loads, (HERE / "results.jsonl").read_text().splitlines())}
    rows = [
        "| model | kills | of them while a checkpoint was written | trainings that ended | unlike the undisturbed |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for model, line in sorted(lines.items()):
        counts = (line[name] for name in ("kills", "in_writing", "trainings", "different"))
        rows.append(f"| `{model}` | {' | '.join(map(str, counts))} |")
    return "\n".join(rows)


def page(text: str) -> str:
    """The page with the table between its marks."""
    before, rest = text.split(MARKS[0])
    return before + MARKS[0] + "\n" + table() + "\n" + MARKS[1] + rest.split(MARKS[1])[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["docs"]:
        PAGE.write_text(page(PAGE.read_text()))
    else:
        main(sys.argv[1:])
