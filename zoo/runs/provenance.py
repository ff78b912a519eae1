"""Record how a run was made: settings, command, versions, commit and hardware."""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from zoo.errors import ZooError
from zoo.io.atomic import write_atomically, write_text
from zoo.io.bounded import read_bounded
from zoo.io.safe_json import read_json
from zoo.runs.files import CLOCK, COMMAND, CONFIG, ENVIRONMENT
from zoo.runs.trust import sign_run

VERSIONS = (
    "torch",
    "torchvision",
    "lightning",
    "torchmetrics",
    "hydra-core",
    "omegaconf",
    "numpy",
    "av",
    "wandb",
)


def write_provenance(run: Path, config: dict[str, Any], module: str = "zoo.train") -> None:
    """Write the command ``python -m <module>``, the environment and the composed config into a new run folder; sign it.

    The config comes last: a folder without it was only begun, and is begun anew.
    """
    environment = describe_environment()  # takes a while: before it, the folder is empty
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / COMMAND, _command_line(module))
    write_text(run / ENVIRONMENT, json.dumps(environment, indent=2) + "\n")
    write_text(run / CONFIG, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    sign_run(run)


def note_resumption(run: Path, clips_seen: int, budget: int) -> None:
    """Record a resumption in the run folder: the command, where it began, the budget, and the environment it ran in.

    Raises ZooError for a damaged ``environment.json``; without one, a new one is begun.
    """
    file = run / ENVIRONMENT
    recorded = read_json(file, f"Delete it, and resume again: rm {shlex.quote(str(file))}") if file.is_file() else {}
    resumed = recorded.setdefault("resumed", [])
    if not isinstance(resumed, list):
        raise ZooError(f"{file} cannot be read: `resumed` is no list. Delete it, and resume again.")
    resumed.append({CLOCK: clips_seen, "budget": budget, **describe_environment()})
    before = read_bounded(run / COMMAND) if (run / COMMAND).is_file() else b""
    write_atomically(run / COMMAND, lambda out: out.write(before + _command_line("zoo.train").encode()))
    write_text(file, json.dumps(recorded, indent=2) + "\n")


def _command_line(module: str) -> str:
    return shlex.join(["python", "-m", module, *sys.argv[1:]]) + "\n"


def describe_environment() -> dict[str, Any]:
    """Collect versions, commit and hardware as plain data."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
        "commit": find_commit(),
        "versions": {name: version(name) for name in VERSIONS},
    }


def find_commit() -> str | None:
    """Hash of the commit of the zoo's code, followed by + if files were changed since; None outside a checkout."""
    here = Path(__file__).parent
    try:
        git = ["git", "--no-optional-locks", "-C", str(here)]  # writes nothing into the checkout
        tracked = subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=False)
        if tracked.returncode:
            return None
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")
