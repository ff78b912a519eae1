"""Measure the speed of a model: ``python -m zoo.benchmark model=vid2vid data=puppets``."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.benchmark.arguments import Arguments, Side, parse_arguments, plan_training
from zoo.benchmark.interleaving import WorkerProcess, run_interleaved
from zoo.benchmark.stats import ratios, summarize
from zoo.benchmark.worker import WorkerJob, worker_environment
from zoo.cli import command
from zoo.devices.launch import launched_processes, unique_label
from zoo.errors import ZooError
from zoo.help.commands import COMMANDS
from zoo.help.text import Section, asks_for_help, settings_of, show_help
from zoo.io.atomic import write_text
from zoo.settings import BenchmarkSettings

if TYPE_CHECKING:
    from zoo.training.plan import Plan


def benchmark(arguments: Sequence[str]) -> dict[str, Any]:
    """Measure, write the JSON file, and print the tables; returns what was written.

    Raises ZooError for invalid arguments, and under torchrun or srun.
    """
    if launched_processes():
        raise ZooError(
            "zoo.benchmark was started by torchrun or srun, but it starts its processes itself. "
            "Run it without them: python -m zoo.benchmark strategy=ddp"
        )
    parsed = parse_arguments(arguments)
    plan = check(parsed)
    settings = parsed.settings
    out = Path(settings.out or f"benchmark-{plan.card.name}-{plan.data.name}-{unique_label()}.json")
    if out.exists():
        raise ZooError(f"out={out} already exists and is not overwritten. Type another file: out=<file>")
    sides = [parsed.a, *([parsed.b] if parsed.b else [])]
    results = [result | {"summary": summarize(result["seconds"])} for result in measure(sides, settings)]
    report = {
        "command": shlex.join(["python", "-m", "zoo.benchmark", *arguments]),
        "settings": asdict(settings),
        **(results[0] if len(results) == 1 else compare(*results)),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, json.dumps(report, indent=1) + "\n")
    show(sides, results)
    print(f"\nwritten  {out}")
    return report


def check(arguments: Arguments) -> Plan:
    """Check the settings of both sides, and return the plan of A. The worker checks a side of another checkout."""
    if arguments.b and arguments.b.code == arguments.a.code:
        plan_training(arguments.b.overrides)
    return plan_training(arguments.a.overrides)


def measure(sides: Sequence[Side], settings: BenchmarkSettings) -> list[dict[str, Any]]:
    """Measure each side in a worker process; two are interleaved."""
    with tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch) / f"{number}.json" for number in range(len(sides))]
        workers = []
        for side, file in zip(sides, files, strict=True):
            job = WorkerJob(
                overrides=list(side.overrides),
                repetitions=settings.repetitions,
                warm_up=settings.warm_up,
                interleaved=len(sides) > 1,
                turn=settings.turn,
                result=str(file),
            )
            workers.append(WorkerProcess(job.command(), worker_environment(side.code)))
        run_interleaved(workers)
        return [json.loads(file.read_text()) for file in files]


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two results and their ratios, as plain data."""
    found = ratios(first["seconds"], second["seconds"])
    return {"a": first, "b": second, "ratios": {name: asdict(ratio) for name, ratio in found.items()}}


def show(sides: Sequence[Side], results: Sequence[Mapping[str, Any]]) -> None:
    """Print the tables, and how close each side comes to the roofline."""
    from rich.console import Console

    from zoo.benchmark.table import comparison_table, describe_roofline, describe_setting, result_table

    console = Console()
    if len(results) == 1:
        console.print(result_table(results[0]))
    else:
        first, second = results
        console.print(comparison_table(first, second, ratios(first["seconds"], second["seconds"])))
        print("* the interval excludes 1: the difference is significant")
        for name, side, result in zip("AB", sides, results, strict=True):
            print(f"\n{name}        {describe_setting(result)}\n         {shlex.join(side.overrides)}".rstrip())
            if side.code != sides[0].code:
                print(f"         the code of {side.code}, {result['environment']['commit']}")
    for name, result in zip("AB", results, strict=False):
        prefix = f"{name}: " if len(results) > 1 else ""
        print(f"\n{prefix}{' '.join(describe_roofline(result['roofline']))}")


@command
def main() -> dict[str, Any] | None:
    """The command."""
    if asks_for_help(sys.argv[1:]):
        show_help(COMMANDS["benchmark"], [Section("", "general", settings_of(BenchmarkSettings))])
        return None
    return benchmark(sys.argv[1:])


if __name__ == "__main__":
    main()
