"""The layout ``<root>/<phase>_<kind>/<sequence>/<file>``: a folder per phase and kind; files are paired by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.data.sequences.collection import FrameSequence, Reader, find_leaf_folders
from zoo.data.sequences.config import SequenceConfig
from zoo.data.sequences.files import IMAGE_SUFFIXES
from zoo.data.sequences.pairing import pair_files
from zoo.errors import ZooError, joined
from zoo.types import Split

HELD_OUT_PHASES = ("val", "test")
"""Phases beside `train`. The first of them that exists becomes the split `val`, the second the split `test`."""

HELD_OUT_SPLITS: tuple[Split, ...] = ("val", "test")


@dataclass(frozen=True)
class FileKind:
    """Files of one kind. ending: suffix of the folder's name, after the phase. read: reads one image; None if they are
    none."""

    ending: str
    read: Reader | None
    suffixes: Collection[str] = IMAGE_SUFFIXES


def has_kind(root: Path, ending: str) -> bool:
    """Whether there are training files of a kind."""
    return (root / f"train{ending}").is_dir()


def find_phase_sequences(config: SequenceConfig, root: Path, kinds: Mapping[str, FileKind]) -> list[FrameSequence]:
    """Find the sequences of training and, if there are folders for them, of validation and test; ``kinds`` includes
    `frames`.

    Raises ZooError if a folder is missing or a file has no partner of another kind.
    """
    phases: dict[str, Split] = {"train": "train"}
    endings = [kind.ending for kind in kinds.values()]
    apart = [phase for phase in HELD_OUT_PHASES if any((root / f"{phase}{ending}").is_dir() for ending in endings)]
    phases |= dict(zip(apart, HELD_OUT_SPLITS, strict=False))
    return [
        sequence
        for phase, split in phases.items()
        for sequence in _pair_files(config, root, phase, split if apart else None, kinds)
    ]


def _pair_files(
    config: SequenceConfig, root: Path, phase: str, split: Split | None, kinds: Mapping[str, FileKind]
) -> list[FrameSequence]:
    folders = {}
    for name, kind in kinds.items():
        top = root / f"{phase}{kind.ending}"
        if not top.is_dir():
            raise ZooError(_explain_missing(config, root, phase, top, name))
        folders[name] = find_leaf_folders(top, kind.suffixes)
        if not folders[name]:
            raise ZooError(f"{top} contains no {name} ({' '.join(kind.suffixes)}). It takes {config.layout.text}.")
    readers = {name: kind.read for name, kind in kinds.items() if kind.read is not None}
    frames = root / f"{phase}{kinds['frames'].ending}"
    sequences = []
    for place in sorted(folders["frames"].keys() | {each for found in folders.values() for each in found}):
        files = {name: tuple(found.get(place, ())) for name, found in folders.items()}
        for name, found in files.items():
            if bool(found) != bool(files["frames"]):
                top = root / f"{phase}{kinds[name].ending}"
                raise ZooError(
                    f"{frames / place} has {len(files['frames'])} frames, but {top / place} has {len(found)} files of "
                    f"{name}. They are paired by their names. Provide one per frame."
                )
        name = phase if place == "." else f"{phase}/{place}"
        sequences.append(FrameSequence(name, frames / place, pair_files(files, "frames"), readers, split))
    return sequences


def _explain_missing(config: SequenceConfig, root: Path, phase: str, top: Path, name: str) -> str:
    there = joined(sorted(path.name for path in root.iterdir() if path.is_dir() and path.name.startswith(phase)))
    drop = "" if phase == "train" else f" Or move {there} away to hold out data.val_share of train instead."
    return (
        f"data.root={root} has {there}, but no {top.name} with the {name}. It takes {config.layout.text}. "
        f"Put the {name} in {top}.{drop}"
    )
