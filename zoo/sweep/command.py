"""The command ``python -m zoo.train -m …`` as a whole: what is checked, where the sweep stands, how it ends."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra import initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from zoo.cli import explain
from zoo.config.compose import conf_dir
from zoo.config.overrides import OF_SWEEPS, key_of
from zoo.errors import ZooError
from zoo.sweep.jobs import quoted
from zoo.sweep.slots import divide
from zoo.sweep.summary import records, summarize
from zoo.sweep.task import Task


def run_sweep(name: str, words: Sequence[str]) -> bool:
    """Run the sweep of a command if its arguments ask for one; returns whether they did."""
    arguments = asked(words)
    if arguments is not None:
        sweep(name, arguments)
    return arguments is not None


def asked(words: Sequence[str]) -> Namespace | None:
    """The arguments of a sweep; None where a single run, help or the like is asked for.

    Raises a ZooError for a single run with settings that only a sweep has.
    """
    arguments = get_args_parser().parse_args(words)
    overrides = arguments.overrides
    if arguments.help or arguments.hydra_help or arguments.cfg or arguments.info or arguments.shell_completion:
        return None
    if arguments.multirun or "hydra.mode=MULTIRUN" in overrides:
        return arguments
    for word in overrides:
        if key_of(word) in OF_SWEEPS and word != "launcher=local":
            raise ZooError(
                f"{word} says how the jobs of a sweep are run. Type -m for one: python -m zoo.train -m {word}"
            )
    return None


def sweep(name: str, arguments: Namespace) -> None:
    """Run the sweep and tell what became of it; exits with 1 if any job has no result."""
    words, flags = list(arguments.overrides), []
    if arguments.config_dir:
        words.append(f"hydra.searchpath=[{quoted(f'file://{Path(arguments.config_dir).absolute()}')}]")
    if arguments.config_name:
        flags.append(f"--config-name={arguments.config_name}")
    conf = Path(arguments.config_path or conf_dir()).absolute()
    if arguments.config_path:
        flags.append(f"--config-path={conf}")
    task = Task(uuid.uuid4().hex, tuple(flags), str(Path.cwd()), os.getpid())
    with initialize_config_dir(version_base="1.3", config_dir=str(conf), job_name=name):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        name = arguments.config_name or name
        folder = checked(hydra.compose_config(name, words, RunMode.MULTIRUN))
        print(f"sweep    {folder}")
        signal.signal(signal.SIGTERM, _leave)
        try:
            hydra.multirun(name, task, [*words, f"hydra.sweep.dir={quoted(str(folder))}"])
        except (Exception, KeyboardInterrupt, SystemExit) as problem:
            if not records(folder, task.session):
                _tidy(folder)
                raise
            summarize(folder, task.session)
            _end(problem)
        sys.exit(1 if summarize(folder, task.session) else 0)


def checked(config: DictConfig) -> Path:
    """The folder of a sweep whose settings can be carried out; a ZooError says why they cannot."""
    launcher = config.hydra.runtime.choices.get("hydra/launcher")
    if launcher == "local":
        divide(config.slots)
    elif config.slots is not None:
        raise ZooError(f"slots={config.slots} divides this machine; {launcher} has its own ways. Type launcher=local")
    return Path(config.hydra.sweep.dir).absolute()


def _leave(number: int, _: Any) -> NoReturn:
    sys.exit(128 + number)


def _end(problem: BaseException) -> NoReturn:
    """After the summary: what ended the sweep, in a line."""
    if isinstance(problem, KeyboardInterrupt | SystemExit):
        print("\nStopped. The same command goes on.", file=sys.stderr)
        sys.exit(problem.code if isinstance(problem, SystemExit) else 128 + signal.SIGINT)
    print(f"\nThe sweep ended early: {type(problem).__name__}: {explain(problem)}", file=sys.stderr)
    sys.exit(1)


def _tidy(folder: Path) -> None:
    """Take back what Hydra wrote before any job was taken up."""
    (folder / "multirun.yaml").unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
