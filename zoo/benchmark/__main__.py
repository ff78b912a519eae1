"""Measure how fast a model is: ``python -m zoo.benchmark model=vid2vid data=puppets``; ``--help`` says what and how."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.benchmark.figures import ratios, summary
from zoo.benchmark.process import Job, environment
from zoo.benchmark.turns import Process, in_turn
from zoo.benchmark.words import Asked, Side, planned, read_words
from zoo.cli import command
from zoo.devices.launch import launched
from zoo.errors import ZooError
from zoo.help.commands import COMMANDS
from zoo.help.text import Section, asks_for_help, settings_of, show_help
from zoo.io.atomic import write_text
from zoo.settings import BenchmarkSettings

if TYPE_CHECKING:
    from zoo.training.plan import Plan


def benchmark(words: Sequence[str]) -> dict[str, Any]:
    """Measure what the words ask for, write the JSON file, and show it; returns what was written."""
    if launched():
        raise ZooError("A benchmark starts its processes itself. Without torchrun and srun: strategy=ddp")
    asked = read_words(words)
    plan = check(asked)
    out = Path(asked.settings.out or f"benchmark-{plan.card.name}-{plan.data.name}-{datetime.now():%Y%m%d-%H%M%S}.json")
    if out.exists():
        raise ZooError(f"out={out} is there already, and nothing is overwritten. Type another file.")
    sides = [asked.side, *([asked.other] if asked.other else [])]
    results = [each | {"summary": summary(each["seconds"])} for each in measured(sides, asked.settings)]
    told = {
        "command": shlex.join(["python", "-m", "zoo.benchmark", *words]),
        "settings": asdict(asked.settings),
        **(results[0] if len(results) == 1 else against(*results)),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, json.dumps(told, indent=1) + "\n")
    show(sides, results)
    print(f"\nwritten  {out}")
    return told


def check(asked: Asked) -> Plan:
    """The plan of A, after a look at that of B; a ZooError says what does not fit. Another checkout looks itself."""
    if asked.other and asked.other.code == asked.side.code:
        planned(asked.other.words)
    return planned(asked.side.words)


def measured(sides: Sequence[Side], settings: BenchmarkSettings) -> list[dict[str, Any]]:
    """What each side measured, in a process of its own; two take turns."""
    with tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch) / f"{number}.json" for number in range(len(sides))]
        processes = []
        for side, file in zip(sides, files, strict=True):
            job = Job(
                words=list(side.words),
                repetitions=settings.repetitions,
                warm_up=settings.warm_up,
                alternates=len(sides) > 1,
                turn=settings.turn,
                result=str(file),
            )
            processes.append(Process(job.command(), environment(side.code)))
        in_turn(processes)
        return [json.loads(file.read_text()) for file in files]


def against(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two results and their ratios, as plain data."""
    found = ratios(first["seconds"], second["seconds"])
    return {"a": first, "b": second, "ratios": {name: asdict(ratio) for name, ratio in found.items()}}


def show(sides: Sequence[Side], results: Sequence[Mapping[str, Any]]) -> None:
    """The table, and how near each comes to the hardware."""
    from rich.console import Console

    from zoo.benchmark.table import compared, near, setting, table

    console = Console()
    if len(results) == 1:
        console.print(table(results[0]))
    else:
        first, second = results
        console.print(compared(first, second, ratios(first["seconds"], second["seconds"])))
        print("* the interval leaves out 1: more than chance")
        for name, side, result in zip("AB", sides, results, strict=True):
            print(f"\n{name}        {setting(result)}\n         {shlex.join(side.words)}".rstrip())
            if side.code != sides[0].code:
                print(f"         the code of {side.code}, {result['environment']['commit']}")
    for name, result in zip("AB", results, strict=False):
        print(f"\n{f'{name}: ' if len(results) > 1 else ''}{' '.join(near(result['roofline']))}")


@command
def main() -> dict[str, Any] | None:
    """The command."""
    if asks_for_help(sys.argv[1:]):
        show_help(COMMANDS["benchmark"], [Section("", "general", settings_of(BenchmarkSettings))])
        return None
    return benchmark(sys.argv[1:])


if __name__ == "__main__":
    main()
