"""Which sequences stand in the layout of `pose`, and what they give. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data.decode import read_image
from zoo.data.sequences.checks import check_footage, existing_root
from zoo.data.sequences.collection import Collection, collect
from zoo.data.sequences.layouts import wrong_layout
from zoo.data.sequences.phases import Kind, has_kind, phased_sequences
from zoo.data.sets.pose.densepose import read_iuv
from zoo.data.sets.pose.names import KINDS, PARTS
from zoo.data.sets.pose.openpose import read_people
from zoo.errors import ZooError, one_of

if TYPE_CHECKING:
    from zoo.data.sets.pose.config import PoseConfig

FILES = {
    "frames": Kind("_img", read_image),
    "densepose": Kind("_densepose", read_iuv),
    "openpose": Kind("_openpose", None, (".json",)),
}
FIELDS_OF = {"densepose": {"labels"}, "openpose": {"pose"}}


def find(config: PoseConfig) -> Collection:
    """The sequences of a configuration. Raises ZooError where settings and files do not fit."""
    check_footage(config)
    one_of("data.condition", config.condition, ("auto", *KINDS))
    if not 0 <= config.limb_dropout < 1:
        raise ZooError(f"data.limb_dropout={config.limb_dropout} is no probability. Type data.limb_dropout=0.05.")
    root = existing_root(config, "the sequences", config.layout.text)
    if not any((root / mark).is_dir() for mark in config.layout.marks):
        raise wrong_layout(config, root)
    condition = _there(config, root) if config.condition == "auto" else config.condition
    kinds = KINDS[condition]
    sequences = phased_sequences(config, root, {name: FILES[name] for name in ("frames", *kinds)})
    if "openpose" in kinds:
        read_people(sequences[0].files["openpose"][0])
    names = PARTS if "densepose" in kinds else ()
    return collect(
        config,
        root,
        sequences,
        {"condition"}.union(*(FIELDS_OF[kind] for kind in kinds)),
        label_names=names,
        foreground=names[1:],
        condition_kind=condition,
        condition_channels=3 * len(kinds),
    )


def _there(config: PoseConfig, root: Path) -> str:
    """The condition that takes all that is there."""
    kinds = tuple(kind for kind in KINDS["both"] if has_kind(root, FILES[kind].ending))
    for condition, needs in KINDS.items():
        if needs == kinds:
            return condition
    raise ZooError(
        f"data.root={root} has neither train_openpose nor train_densepose beside train_img. "
        f"It takes {config.layout.text}."
    )
