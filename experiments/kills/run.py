"""Kill trainings with SIGKILL at random moments and let them go on, until each ends as one that nothing stopped.

    python experiments/kills/run.py            # every registered model, at least 25 kills each; writes results.jsonl
    python experiments/kills/run.py vid2vid    # one model
    python experiments/kills/run.py docs       # writes the table into docs/guides/resuming.md, between its two marks

The process that is killed is a whole training: data, steps, rounds of evaluation, and a checkpoint after every step, so
that many kills fall into the writing of one. It is forked from one that has imported the libraries, since imports are
most of a short training.
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
from zoo.io.atomic import partial
from zoo.runs.provenance import commit
from zoo.testing.rerun import begin_or_go_on, tiny_plan, unlike

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/guides/resuming.md"
MARKS = ("<!-- kills -->", "<!-- end of kills -->")
KILLS, CLIPS = 25, 60
STARTING = 1.0  # seconds to the first step; a training that never came so far would never end


@dataclass
class Tally:
    """kills: how many; in_writing: those that left a half-written checkpoint; before_first: those that left none at
    all; trainings: how many ended; different: of them, those that did not end as the undisturbed one."""

    kills: int = 0
    in_writing: int = 0
    before_first: int = 0
    trainings: int = 0
    different: int = 0


def kill_again_and_again(name: str, kills: int, clips: int, folder: Path, seed: int = 0) -> Tally:
    """As many trainings as it takes for so many kills, each compared when it has ended."""
    chance = random.Random(seed)
    whole = folder / "undisturbed"
    begun = time.monotonic()
    assert ends(start(name, clips, whole))
    length = time.monotonic() - begun
    tally = Tally()
    while tally.kills < kills:
        run = folder / f"training{tally.trainings}"
        while True:
            process = start(name, clips, run)
            if dies(process, chance.uniform(0.0, STARTING + length / 3)):
                tally.kills += 1
                tally.in_writing += any(partial(run / file).exists() for file in ("last.ckpt", "best.ckpt"))
                tally.before_first += not (run / "last.ckpt").exists()
            else:
                break
        tally.trainings += 1
        tally.different += bool(unlike(run, whole))
    return tally


def start(name: str, clips: int, run: Path) -> int:
    """A training in a process of its own; returns its number."""
    process = os.fork()
    if process:
        return process
    try:
        os.setsid()
        begin_or_go_on(tiny_plan(name, clips), run)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def dies(process: int, after: float) -> bool:
    """Kill a process after so many seconds; whether it was alive. What failed by itself raises."""
    time.sleep(after)
    os.kill(process, signal.SIGKILL)
    return not ends(process)


def ends(process: int) -> bool:
    """Wait for a process; whether it ended by itself, and well."""
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, -signal.SIGKILL), f"a training ended with {status}"
    return status == 0


def main(names: list[str]) -> None:
    """Each model, and a line of what came out."""
    torch.set_num_threads(1)
    for name in names or list_models():
        folder = Path(mkdtemp(prefix=f"kills-{name}-"))
        try:
            tally = kill_again_and_again(name, KILLS, CLIPS, folder)
        finally:
            shutil.rmtree(folder)
        made_by = {"command": f"python experiments/kills/run.py {name}", "commit": commit()}
        with (HERE / "results.jsonl").open("a") as out:
            out.write(json.dumps({"model": name, **asdict(tally), **made_by}) + "\n")
        print(name, tally)


def table() -> str:
    """Markdown: the newest line of each model."""
    lines = {line["model"]: line for line in map(json.loads, (HERE / "results.jsonl").read_text().splitlines())}
    rows = [
        "| model | kills | of them while a checkpoint was written | trainings that ended | unlike the undisturbed |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for model, line in sorted(lines.items()):
        numbers = (line[name] for name in ("kills", "in_writing", "trainings", "different"))
        rows.append(f"| `{model}` | {' | '.join(map(str, numbers))} |")
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
