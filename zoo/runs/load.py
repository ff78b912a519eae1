"""Load a model from a run folder or a checkpoint, and read the settings that it was trained with."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from zoo.data.base import DataConfig
from zoo.devices.sharded_checkpoint import is_sharded, read_sharded
from zoo.errors import ZooError
from zoo.io.contents import check_contents
from zoo.io.safe_load import read_tensors
from zoo.io.safe_settings import read_settings
from zoo.model import VideoModel, build_for_sampling
from zoo.runs.files import BEST, CHECKPOINTS, CONFIG, checkpoint_exists
from zoo.runs.trust import refuse_untrusted
from zoo.runs.validate import check_model, parse_data_config
from zoo.types import ClipSpec


def find_checkpoint(path: str) -> Path:
    """The checkpoint that a path refers to: the path itself, or the checkpoint in a run folder.

    Raises ZooError if there is none.
    """
    place = Path(path)
    if place.is_file() or is_sharded(place):
        return place
    if not place.exists():
        raise ZooError(f"{path} does not exist; expected a run folder or a checkpoint. Type: run=runs/<run>")
    for name in CHECKPOINTS:
        if (place / name).is_file() or is_sharded(place / name):
            return place / name
    found = ", ".join(sorted(p.name for p in place.iterdir())[:8]) or "nothing"
    raise ZooError(
        f"{path} contains no {' or '.join(CHECKPOINTS)}; found {found}. A training writes them in every validation "
        "round. Type the folder of a trained run: run=runs/<run>"
    )


def load(path: str) -> VideoModel[Any]:
    """Build a model from a run folder or checkpoint, with its averaged weights, in evaluation mode.

    Nothing is unpickled. Raises ZooError for a checkpoint that is missing, damaged or unsafe.
    """
    checkpoint = _read_newest(path)
    settings = checkpoint["hyper_parameters"]
    model = build_for_sampling(settings["model"], ClipSpec(**settings["spec"]))
    model.load_state_dict(checkpoint["state_dict"])
    for name, state in checkpoint.get("ema", {}).items():
        model.ema_parts()[name].load_state_dict(state)
    model.on_load_checkpoint(checkpoint)
    return model.eval()


def _read_newest(path: str) -> dict[str, Any]:
    """Read the checkpoint that a path refers to. The ZooError for a bad one names another that can be used."""
    file = find_checkpoint(path)
    try:
        return read_checkpoint(file)
    except ZooError as problem:
        other = file.with_name(BEST)
        if file == other or file.parent != Path(path) or not checkpoint_exists(other):
            raise
        try:
            clips = read_checkpoint(other)["clips_seen"]
        except ZooError:
            raise problem from None
        raise ZooError(f"{problem}\n{other} is complete, from {clips} clips. Type it in place of {path}") from problem


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Read the content of a checkpoint of the zoo to the CPU.

    Raises ZooError for a file that is no checkpoint, is damaged, or is unsafe.
    """
    checkpoint: dict[str, Any] = read_sharded(file) if file.is_dir() else read_tensors(file, "a checkpoint")
    check_model(file, checkpoint)
    check_contents(file, checkpoint)
    return checkpoint


def read_config(folder: Path) -> dict[str, Any]:
    """Read the settings of a run folder. Raises ZooError if they cannot be read."""
    return read_settings(folder / CONFIG)


def training_seed(path: str) -> int:
    """Random seed that a run was trained with."""
    return int(read_config(find_checkpoint(path).parent).get("seed", 0))


def data_config(path: str, trust: bool = False, root: str | None = None) -> DataConfig:
    """Data settings that a run was trained with.

    trust: whether the data may be anywhere, although the run is not signed as the user's own. root: folder where the
    data lies now, as the user typed it; None: where it was. Raises ZooError for a run without data settings, such as
    converted weights, for data outside of a folder that is not trusted, and for a root of drawn data.
    """
    folder = find_checkpoint(path).parent
    file = folder / CONFIG
    if not file.is_file():
        raise ZooError(f"{folder} contains no {CONFIG}, so its data set is unknown. Type given=<video or folder>.")
    config = read_config(folder)
    if "data" not in config:
        raise ZooError(
            f"{folder} holds converted weights, so it has no data set to sample from. Type given=<folder of maps>."
        )
    data = parse_data_config(config["data"], file)
    if root is not None:
        if not hasattr(data, "root"):
            raise ZooError(f"data.root={root}, but the clips of {data.name} are drawn, not read. Leave it out.")
        moved: dict[str, Any] = {"root": root}
        data = replace(data, **moved)
    if not trust:
        is_typed = None if root is None else lambda key, value: key == "data.root"
        refuse_untrusted(folder, {"data": {**asdict(data), "workers": 0}}, is_typed)
    return data
