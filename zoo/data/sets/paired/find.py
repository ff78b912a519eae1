"""Find the sequences in the layout of `paired`, and the fields that they provide. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import read_ids, read_image
from zoo.data.sequences.checks import check_settings, require_root, resolve_class_names, resolve_foreground
from zoo.data.sequences.collection import SequenceSet, build_sequence_set
from zoo.data.sequences.layouts import explain_wrong_layout
from zoo.data.sequences.phases import FileKind, find_phase_sequences, has_kind
from zoo.data.transforms import DRAWN_CHANNELS
from zoo.errors import ZooError, check_choice

if TYPE_CHECKING:
    from zoo.data.sets.paired.config import PairedConfig


def find_sequences(config: PairedConfig) -> SequenceSet:
    """Find the sequences of a configuration. Raises ZooError if settings and files do not match."""
    _check_settings(config)
    root = require_root(config, "the sequences", config.layout.text)
    if not any((root / mark).is_dir() for mark in config.layout.marks):
        raise explain_wrong_layout(config, root)
    kinds = _choose_kinds(config, root)
    sequences = find_phase_sequences(config, root, kinds)
    names = resolve_class_names("data=paired", config.label_names, config.label_count) if "labels" in kinds else ()
    kind = "drawings" if "drawings" in kinds else config.condition
    channels = {"none": 0, "drawings": 3} | DRAWN_CHANNELS
    fields = {name for name in ("labels", "instances") if name in kinds} | ({"condition"} if kind != "none" else set())
    return build_sequence_set(
        config,
        root,
        sequences,
        fields,
        label_names=names,
        foreground=resolve_foreground(config.foreground, names),
        condition_kind=kind,
        condition_channels=channels[kind],
    )


def _check_settings(config: PairedConfig) -> None:
    check_settings(config)
    check_choice("data.maps", config.maps, ("labels", "drawings"))
    check_choice("data.condition", config.condition, ("none", *DRAWN_CHANNELS))
    if config.maps == "drawings" and config.condition != "none":
        raise ZooError(
            f"data.maps=drawings uses the images in A as the condition, but data.condition={config.condition} computes "
            "one from the frames. Leave one of the two out."
        )
    if config.maps == "drawings" and (config.label_names or config.label_count):
        raise ZooError("data.maps=drawings has no classes. Leave data.label_names and data.label_count out.")
    if _reads_labels(config):
        resolve_class_names("data=paired", config.label_names, config.label_count)


def _reads_labels(config: PairedConfig) -> bool:
    """Whether A contains labels: not if it contains drawings, or if frames give the condition and no class is set."""
    named = bool(config.label_names or config.label_count)
    return config.maps == "labels" and (named or config.condition == "none")


def _choose_kinds(config: PairedConfig, root: Path) -> dict[str, FileKind]:
    kinds = {"frames": FileKind("_B", read_image)}
    if config.maps == "drawings":
        kinds["drawings"] = FileKind("_A", read_image)
    elif _reads_labels(config):
        if not has_kind(root, "_A"):
            raise ZooError(
                f"data.root={root} has no train_A with label maps. Put them there, one per frame of train_B, or type "
                "data.condition=edges (or distance) without data.label_count to compute edges from the frames."
            )
        kinds["labels"] = FileKind("_A", _read_labels)
    if has_kind(root, "_inst"):
        kinds["instances"] = FileKind("_inst", _read_instances)
    return kinds


def _read_labels(path: Path) -> NDArray[np.int32]:
    try:
        return read_ids(path).astype(np.int32)
    except ZooError as problem:
        read_image(path)  # raises its own error if the file is not an image
        raise ZooError(f"{problem} If A contains colour drawings, type data.maps=drawings.") from problem


def _read_instances(path: Path) -> NDArray[np.int32]:
    return read_ids(path).astype(np.int32)
