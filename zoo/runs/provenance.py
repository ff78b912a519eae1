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

from zoo.io.atomic import write_text
from zoo.runs.files import CLOCK, COMMAND, CONFIG, ENVIRONMENT

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
    """Write the composed config, the command ``python -m <module>`` and the environment into a new run folder."""
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / COMMAND, _command_line(module))
    write_text(run / ENVIRONMENT, json.dumps(describe_environment(), indent=2) + "\n")
    write_text(run / CONFIG, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def note_resumption(run: Path, clips_seen: int, budget: int) -> None:
    """Record a resumption in the run folder: the command, where it began, the budget, and the environment it ran in."""
    with (run / COMMAND).open("a") as file:
        file.write(_command_line("zoo.train"))
    recorded = json.loads((run / ENVIRONMENT).read_text())
    recorded.setdefault("resumed", []).append({CLOCK: clips_seen, "budget": budget, **describe_environment()})
    write_text(run / ENVIRONMENT, json.dumps(recorded, indent=2) + "\n")


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
        git = ["git", "-C", str(here)]
        tracked = subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=False)
        if tracked.returncode:
            return None
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")
