"""The process that measures: run as a script, so that it can import the zoo of another checkout.

Takes `WorkerJob` as JSON. Everything that it imports from the zoo must exist in the other checkout under the same name;
`arguments.check_checkout` checks that.
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
class WorkerJob:
    """What a worker measures.

    overrides: those of `zoo.train`. interleaved: whether it takes turns with another worker. turn: repetitions in a
    turn; None is 1 on the CPU and 10 on a GPU. result: the JSON file to write.
    """

    overrides: list[str]
    repetitions: int
    warm_up: int
    interleaved: bool
    turn: int | None
    result: str

    def command(self) -> list[str]:
        """The command that runs it."""
        return [sys.executable, __file__, json.dumps(asdict(self))]


def worker_environment(code: Path) -> dict[str, str]:
    """Environment variables of a worker that imports the zoo of a checkout."""
    from zoo.devices.launch import without_launcher_environment

    path = [str(code), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**without_launcher_environment(os.environ), "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"}


def install_benchmark_package() -> None:
    """Make this folder the package `zoo.benchmark` of whatever zoo is imported."""
    spec = importlib.util.spec_from_file_location("zoo.benchmark", HERE / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules["zoo.benchmark"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def run_job(job: WorkerJob) -> None:
    """Measure, and write the result."""
    from zoo.benchmark.arguments import plan_training

    plan = plan_training(job.overrides)

    from zoo.benchmark.interleaving import TurnTaker
    from zoo.benchmark.measure import Benchmark
    from zoo.devices.launch import is_main_process

    benchmark = Benchmark(plan, job.repetitions, job.warm_up)
    length = job.turn or (10 if benchmark.device.type == "cuda" else 1)
    take_turn = TurnTaker(length if job.interleaved and is_main_process() else None, benchmark.timer.settle)
    result = benchmark.run(take_turn)
    if is_main_process():
        Path(job.result).write_text(json.dumps(result))


if __name__ == "__main__":
    install_benchmark_package()
    from zoo.cli import command

    command(lambda: run_job(WorkerJob(**json.loads(sys.argv[1]))))()
