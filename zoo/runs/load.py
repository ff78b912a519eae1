"""Read a run folder or a checkpoint: the model with its weights, and the settings that it was trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.data.base import DataConfig
from zoo.devices.sharded_checkpoint import is_sharded, read_sharded
from zoo.errors import ZooError
from zoo.io.safe_load import read_tensors
from zoo.io.safe_settings import read_settings
from zoo.model import VideoModel, build
from zoo.runs.files import CHECKPOINTS, CONFIG
from zoo.runs.validate import check_model, typed_data
from zoo.types import ClipSpec


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
