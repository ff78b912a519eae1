"""Which sequences stand in the layout of `paired`, and what they give. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import read_ids, read_image
from zoo.data.sequences.checks import check_footage, class_names, existing_root, foreground_names
from zoo.data.sequences.collection import Collection, collect
from zoo.data.sequences.layouts import wrong_layout
from zoo.data.sequences.phases import Kind, has_kind, phased_sequences
from zoo.data.transforms import DRAWN_CHANNELS
from zoo.errors import ZooError, one_of

if TYPE_CHECKING:
    from zoo.data.sets.paired.config import PairedConfig


def find(config: PairedConfig) -> Collection:
    """The sequences of a configuration. Raises ZooError where settings and files do not fit."""
    _check_settings(config)
    root = existing_root(config, "the sequences", config.layout.text)
    if not any((root / mark).is_dir() for mark in config.layout.marks):
        raise wrong_layout(config, root)
    kinds = _kinds(config, root)
    sequences = phased_sequences(config, root, kinds)
    names = _class_names(config) if "labels" in kinds else ()
    kind = "drawings" if "drawings" in kinds else config.condition
    channels = {"none": 0, "drawings": 3} | DRAWN_CHANNELS
    fields = {name for name in ("labels", "instances") if name in kinds} | ({"condition"} if kind != "none" else set())
    return collect(
        config,
        root,
        sequences,
        fields,
        label_names=names,
        foreground=foreground_names(config.foreground, names),
        condition_kind=kind,
        condition_channels=channels[kind],
    )


def _check_settings(config: PairedConfig) -> None:
    check_footage(config)
    one_of("data.maps", config.maps, ("labels", "drawings"))
    one_of("data.condition", config.condition, ("none", *DRAWN_CHANNELS))
    if config.maps == "drawings" and config.condition != "none":
        raise ZooError(
            f"data.maps=drawings makes the pictures in A the condition, and data.condition={config.condition} draws "
            "one from the frames. Leave one of the two out."
        )
    if config.maps == "drawings" and (config.label_names or config.label_count):
        raise ZooError("data.maps=drawings has no classes. Leave data.label_names and data.label_count out.")
    if _wants_labels(config):
        _class_names(config)


def _wants_labels(config: PairedConfig) -> bool:
    """Whether A is read as labels: unless drawings are wanted, from A or from the frames, and no class is named."""
    named = bool(config.label_names or config.label_count)
    return config.maps == "labels" and (named or config.condition == "none")


def _class_names(config: PairedConfig) -> tuple[str, ...]:
    return class_names("data=paired", config.label_names, config.label_count)


def _kinds(config: PairedConfig, root: Path) -> dict[str, Kind]:
    kinds = {"frames": Kind("_B", read_image)}
    if config.maps == "drawings":
        kinds["drawings"] = Kind("_A", read_image)
    elif _wants_labels(config):
        if not has_kind(root, "_A"):
            raise ZooError(
                f"data.root={root} has no train_A with label maps. Put them there, one for each frame of train_B; or "
                "type data.condition=edges (or distance), without data.label_count, to draw from the frames instead."
            )
        kinds["labels"] = Kind("_A", _read_labels)
    if has_kind(root, "_inst"):
        kinds["instances"] = Kind("_inst", _read_instances)
    return kinds


def _read_labels(path: Path) -> NDArray[np.int32]:
    try:
        return read_ids(path).astype(np.int32)
    except ZooError as problem:
        read_image(path)  # a file that is no picture at all says so itself
        raise ZooError(f"{problem} If A holds drawings in colour, type data.maps=drawings.") from problem


def _read_instances(path: Path) -> NDArray[np.int32]:
    return read_ids(path).astype(np.int32)
