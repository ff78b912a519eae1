"""The process that measures: run as a script, so that the zoo which is imported may be that of another checkout.

Takes a `Job` as JSON. Only what every version of the zoo has is asked of it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Job:
    """words: the overrides of `zoo.train`. turn: repetitions in a row, where another process takes turns with this one;
    None is 1 on the processor and 10 on a GPU. result: the file that is written."""

    words: list[str]
    repetitions: int
    warm_up: int
    alternates: bool
    turn: int | None
    result: str

    def command(self) -> list[str]:
        """What runs it."""
        return [sys.executable, __file__, json.dumps(asdict(self))]


def environment(code: Path) -> dict[str, str]:
    """Of a process that imports the zoo of a checkout."""
    from zoo.devices.launch import without_launcher_environment

    path = [str(code), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**without_launcher_environment(os.environ), "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"}


def adopt() -> None:
    """Make this folder the package `zoo.benchmark`, whatever the zoo is that is imported."""
    spec = importlib.util.spec_from_file_location("zoo.benchmark", HERE / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules["zoo.benchmark"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def work(job: Job) -> None:
    """Measure, and write the result."""
    from zoo.benchmark.words import planned

    plan = planned(job.words)

    from zoo.benchmark.measure import Benchmark
    from zoo.benchmark.turns import Turns
    from zoo.devices.launch import is_main_process

    benchmark = Benchmark(plan, job.repetitions, job.warm_up)
    length = job.turn or (10 if benchmark.device.type == "cuda" else 1)
    turns = Turns(length if job.alternates and is_main_process() else None, benchmark.clock.settle)
    result = benchmark.run(turns)
    if is_main_process():
        Path(job.result).write_text(json.dumps(result))


if __name__ == "__main__":
    adopt()
    from zoo.cli import command

    command(lambda: work(Job(**json.loads(sys.argv[1]))))()
