"""The command ``python -m zoo.train -m …``: check its arguments, run the sweep, print the summary."""

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

from zoo.cli import explain, python_command, say
from zoo.config.compose import conf_dir
from zoo.config.overrides import SWEEP_SETTINGS, override_key
from zoo.errors import ZooError
from zoo.io.own_files import check_writable, refuse_links
from zoo.sweep.jobs import quote
from zoo.sweep.slots import parse_slots
from zoo.sweep.summary import print_summary, read_records
from zoo.sweep.task import Task


def run_sweep(name: str, arguments: Sequence[str]) -> bool:
    """Run the sweep of a command if its arguments request one; returns whether they did."""
    parsed = parse_sweep_arguments(arguments)
    if parsed is not None:
        sweep(name, parsed)
    return parsed is not None


def parse_sweep_arguments(arguments: Sequence[str]) -> Namespace | None:
    """Parse the arguments of a sweep; None for a single run, help or the like.

    Raises ZooError for a single run with settings that only a sweep has.
    """
    parsed = get_args_parser().parse_args(arguments)
    if parsed.help or parsed.hydra_help or parsed.cfg or parsed.info or parsed.shell_completion:
        return None
    if parsed.multirun or "hydra.mode=MULTIRUN" in parsed.overrides:
        return parsed
    for override in parsed.overrides:
        if override_key(override) in SWEEP_SETTINGS and override != "launcher=local":
            raise ZooError(
                f"{override} is a setting of sweeps, and this is a single run. Type -m for a sweep: "
                f"{python_command('zoo.train', '-m', override)}"
            )
    return None


def sweep(name: str, arguments: Namespace) -> None:
    """Run a sweep and print its summary; exits with 1 if any job has no result."""
    overrides, flags = list(arguments.overrides), []
    if arguments.config_dir:
        overrides.append(f"hydra.searchpath=[{quote(f'file://{Path(arguments.config_dir).absolute()}')}]")
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
        folder = check_sweep(hydra.compose_config(name, overrides, RunMode.MULTIRUN))
        say(f"sweep    {folder}")
        signal.signal(signal.SIGTERM, _exit_on_signal)
        try:
            hydra.multirun(name, task, [*overrides, f"hydra.sweep.dir={quote(str(folder))}"])
        except (Exception, KeyboardInterrupt, SystemExit) as problem:
            if not read_records(folder, task.session):
                _remove_empty(folder)
                raise
            print_summary(folder, task.session)
            _report_and_exit(problem)
        sys.exit(1 if print_summary(folder, task.session) else 0)


def check_sweep(config: DictConfig) -> Path:
    """Return the folder of a sweep. Raises ZooError for slots that this machine or the launcher does not support."""
    launcher = config.hydra.runtime.choices.get("hydra/launcher")
    if launcher == "local":
        parse_slots(config.slots)
    elif config.slots is not None:
        raise ZooError(
            f"slots={config.slots} divides this machine among jobs, and launcher={launcher} does not use it. "
            "Leave slots out, or type launcher=local"
        )
    folder = Path(config.hydra.sweep.dir).absolute()
    jobs = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    refuse_links(folder, ["multirun.yaml", *jobs])  # which Hydra writes, and the folders of jobs
    check_writable(folder, "hydra.sweep.dir")
    return folder


def _exit_on_signal(number: int, _: Any) -> NoReturn:
    sys.exit(128 + number)


def _report_and_exit(problem: BaseException) -> NoReturn:
    """Print what ended the sweep, after the summary."""
    if isinstance(problem, KeyboardInterrupt | SystemExit):
        say("\nStopped. The same command resumes the sweep.", file=sys.stderr)
        sys.exit(problem.code if isinstance(problem, SystemExit) else 128 + signal.SIGINT)
    say(f"\nThe sweep ended early: {type(problem).__name__}: {explain(problem)}", file=sys.stderr)
    sys.exit(1)


def _remove_empty(folder: Path) -> None:
    """Remove what Hydra wrote before any job was started."""
    (folder / "multirun.yaml").unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
