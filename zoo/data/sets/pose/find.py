"""Find the sequences in the layout of `pose`, and the fields that they provide. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data.decode import read_image
from zoo.data.sequences.checks import check_settings, require_root
from zoo.data.sequences.collection import SequenceSet, build_sequence_set
from zoo.data.sequences.layouts import explain_wrong_layout
from zoo.data.sequences.phases import FileKind, find_phase_sequences, has_kind
from zoo.data.sets.pose.densepose import read_iuv
from zoo.data.sets.pose.names import CONDITION_SOURCES, PARTS
from zoo.data.sets.pose.openpose import read_people
from zoo.errors import ZooError, check_choice

if TYPE_CHECKING:
    from zoo.data.sets.pose.config import PoseConfig

FILES = {
    "frames": FileKind("_img", read_image),
    "densepose": FileKind("_densepose", read_iuv),
    "openpose": FileKind("_openpose", None, (".json",)),
}
KIND_FIELDS = {"densepose": {"labels"}, "openpose": {"pose"}}


def find_sequences(config: PoseConfig) -> SequenceSet:
    """Find the sequences of a configuration. Raises ZooError if settings and files do not match."""
    check_settings(config)
    check_choice("data.condition", config.condition, ("auto", *CONDITION_SOURCES))
    root = require_root(config, "the sequences", config.layout.text)
    if not any((root / mark).is_dir() for mark in config.layout.marks):
        raise explain_wrong_layout(config, root)
    condition = _detect_condition(config, root) if config.condition == "auto" else config.condition
    kinds = CONDITION_SOURCES[condition]
    sequences = find_phase_sequences(config, root, {name: FILES[name] for name in ("frames", *kinds)})
    if "openpose" in kinds:
        read_people(sequences[0].files["openpose"][0])
    names = PARTS if "densepose" in kinds else ()
    return build_sequence_set(
        config,
        root,
        sequences,
        {"condition"}.union(*(KIND_FIELDS[kind] for kind in kinds)),
        label_names=names,
        foreground=names[1:],
        condition_kind=condition,
        condition_channels=3 * len(kinds),
    )


def _detect_condition(config: PoseConfig, root: Path) -> str:
    """Return the condition that uses all kinds of files there are. Raises ZooError if there are none."""
    kinds = tuple(kind for kind in CONDITION_SOURCES["both"] if has_kind(root, FILES[kind].ending))
    for condition, needs in CONDITION_SOURCES.items():
        if needs == kinds:
            return condition
    raise ZooError(
        f"data.root={root} has neither train_openpose nor train_densepose beside train_img. "
        f"It takes {config.layout.text}."
    )
