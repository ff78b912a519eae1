"""The run folder: what a training leaves, enough to continue, sample, evaluate and compare it elsewhere."""

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

from zoo.data.base import DataConfig
from zoo.devices.sharded_checkpoint import is_sharded, read_sharded
from zoo.errors import ZooError
from zoo.io.atomic import write_text
from zoo.io.safe_load import read_tensors
from zoo.io.safe_settings import read_settings
from zoo.model import VideoModel, build
from zoo.runs.files import CHECKPOINTS, CLOCK, COMMAND, CONFIG, ENVIRONMENT
from zoo.runs.validate import check_model, typed_data
from zoo.types import ClipSpec

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


def begin(run: Path, config: dict[str, Any], module: str = "zoo.train") -> None:
    """Write the composed config, the command ``python -m <module>`` and the environment into a new run folder."""
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / COMMAND, _typed(module))
    write_text(run / ENVIRONMENT, json.dumps(environment(), indent=2) + "\n")
    write_text(run / CONFIG, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def go_on(run: Path, clips_seen: int) -> None:
    """Note in the run folder that its training went on from there: the command, and where it ran."""
    with (run / COMMAND).open("a") as file:
        file.write(_typed("zoo.train"))
    told = json.loads((run / ENVIRONMENT).read_text())
    told.setdefault("resumed", []).append({CLOCK: clips_seen, **environment()})
    write_text(run / ENVIRONMENT, json.dumps(told, indent=2) + "\n")


def _typed(module: str) -> str:
    return shlex.join(["python", "-m", module, *sys.argv[1:]]) + "\n"


def environment() -> dict[str, Any]:
    """Versions, commit and hardware."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
        "commit": commit(),
        "versions": {name: version(name) for name in VERSIONS},
    }


def commit() -> str | None:
    """The commit that the zoo's code stands at, with a + if it was changed since; None outside a checkout."""
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


def find_checkpoint(path: str) -> Path:
    """The checkpoint that a path means: itself, or the last one in a run folder."""
    asked = Path(path)
    if asked.is_file() or is_sharded(asked):
        return asked
    if not asked.exists():
        raise ZooError(f"There is no {path}. A run folder or a checkpoint is expected: run=runs/<run>")
    for name in CHECKPOINTS:
        if (asked / name).is_file() or is_sharded(asked / name):
            return asked / name
    found = ", ".join(sorted(p.name for p in asked.iterdir())[:8]) or "nothing"
    raise ZooError(
        f"{path} holds no {' or '.join(CHECKPOINTS)}; it holds {found}. A training writes them at each round."
    )


def load(path: str) -> VideoModel[Any]:
    """Rebuild a model with its averaged weights, in evaluation mode; nothing is unpickled."""
    checkpoint = read_checkpoint(find_checkpoint(path))
    settings = checkpoint["hyper_parameters"]
    model = build(settings["model"], ClipSpec(**settings["spec"]))
    model.load_state_dict(checkpoint["state_dict"])
    for name, state in checkpoint.get("ema", {}).items():
        model.ema_parts()[name].load_state_dict(state)
    model.on_load_checkpoint(checkpoint)
    return model.eval()


def read_checkpoint(file: Path) -> dict[str, Any]:
    """What a checkpoint of the zoo holds, on the processor; a ZooError for a file that is none or should not be
    trusted."""
    checkpoint: dict[str, Any] = read_sharded(file) if file.is_dir() else read_tensors(file, "a checkpoint")
    check_model(file, checkpoint)
    return checkpoint


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of a run folder; a ZooError where they cannot be read."""
    return read_settings(folder / CONFIG)


def training_seed(path: str) -> int:
    """The seed that a run was trained with."""
    return int(read_config(find_checkpoint(path).parent).get("seed", 0))


def data_config(path: str) -> DataConfig:
    """The data settings that a run was trained with."""
    folder = find_checkpoint(path).parent
    file = folder / CONFIG
    if not file.is_file():
        raise ZooError(f"{folder} holds no {CONFIG}, so its data set is not known. Type given=<video or folder>.")
    config = read_config(folder)
    if "data" not in config:
        raise ZooError(f"{folder} was converted, and not trained on a data set. Type given=<folder of maps>.")
    return typed_data(config["data"], file)
