"""The layout ``<root>/<phase>_<kind>/<sequence>/<file>``: a folder a phase and kind, files paired by their order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.data.sequences.collection import FrameSequence, Reader, leaf_folders
from zoo.data.sequences.config import SequenceConfig
from zoo.data.sequences.files import IMAGE_SUFFIXES
from zoo.errors import ZooError, listed
from zoo.types import Split

HELD_OUT = ("val", "test")
"""Phases that serve the split `val`: the first of them that is there."""


@dataclass(frozen=True)
class Kind:
    """Files of one kind. ending: of the folder's name, behind the phase. read: one picture, None if it is none."""

    ending: str
    read: Reader | None
    suffixes: Collection[str] = IMAGE_SUFFIXES


def has_kind(root: Path, ending: str) -> bool:
    """Whether there are files of a kind to train on."""
    return (root / f"train{ending}").is_dir()


def phased_sequences(config: SequenceConfig, root: Path, kinds: Mapping[str, Kind]) -> list[FrameSequence]:
    """The sequences of training and, where some are set apart, of evaluation; ``kinds`` has `frames` among them.

    Raises ZooError if a folder is missing or two kinds do not have as many files.
    """
    phases: dict[str, Split] = {"train": "train"}
    endings = [kind.ending for kind in kinds.values()]
    apart = [phase for phase in HELD_OUT if any((root / f"{phase}{ending}").is_dir() for ending in endings)]
    phases |= dict.fromkeys(apart[:1], "val")
    return [
        sequence
        for phase, split in phases.items()
        for sequence in _sequences(config, root, phase, split if apart else None, kinds)
    ]


def _sequences(
    config: SequenceConfig, root: Path, phase: str, split: Split | None, kinds: Mapping[str, Kind]
) -> list[FrameSequence]:
    folders = {}
    for name, kind in kinds.items():
        top = root / f"{phase}{kind.ending}"
        if not top.is_dir():
            raise ZooError(_missing(config, root, phase, top, name))
        folders[name] = leaf_folders(top, kind.suffixes)
        if not folders[name]:
            raise ZooError(f"{top} holds no {name} ({' '.join(kind.suffixes)}). It takes {config.layout.text}.")
    readers = {name: kind.read for name, kind in kinds.items() if kind.read is not None}
    frames = root / f"{phase}{kinds['frames'].ending}"
    sequences = []
    for place in sorted(folders["frames"].keys() | {each for found in folders.values() for each in found}):
        files = {name: tuple(found.get(place, ())) for name, found in folders.items()}
        for name, found in files.items():
            if len(found) != len(files["frames"]):
                top = root / f"{phase}{kinds[name].ending}"
                raise ZooError(
                    f"{frames / place} has {len(files['frames'])} frames; its {name}, {top / place}, are {len(found)} "
                    "files. They are paired by the order of their numbers: make it one for each frame."
                )
        name = phase if place == "." else f"{phase}/{place}"
        sequences.append(FrameSequence(name, frames / place, files, readers, split))
    return sequences


def _missing(config: SequenceConfig, root: Path, phase: str, top: Path, name: str) -> str:
    there = listed(sorted(path.name for path in root.iterdir() if path.is_dir() and path.name.startswith(phase)))
    drop = "" if phase == "train" else f" Or move {there} away, to hold out data.val_share of train instead."
    return (
        f"data.root={root} has {there}, and no {top.name}, which holds the {name}. It takes {config.layout.text}. "
        f"Put the {name} in {top}.{drop}"
    )
