"""Find the trajectories of BAIR under a root, in either layout, and assign them to splits. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data.sequences.cache import ArrayCache, cache_folder, load_index, save_index
from zoo.data.sequences.checks import check_settings, require_root
from zoo.data.sequences.files import natural_order, stamp_of
from zoo.data.sequences.footage import Footage
from zoo.data.sequences.labelled import abbreviate
from zoo.data.sequences.split import Segment, assign_splits
from zoo.data.sets.bair.names import (
    ACTION_NAMES,
    CAMERAS,
    LAYOUT,
    PLACES,
    PUBLISHED_CAMERA,
    RECORD_SUFFIX,
    TEST,
    TRAINING,
)
from zoo.data.sets.bair.records import Record, index_records, read_example
from zoo.data.sets.bair.sources import PictureTrajectory, RecordedTrajectory, Trajectory, frames_of
from zoo.data.transforms import DRAWN_CHANNELS
from zoo.errors import ZooError, check_choice
from zoo.types import ClipSpec, Split

if TYPE_CHECKING:
    from zoo.data.sets.bair.config import BAIRConfig

PHASES = ("train", "test")


@dataclass(frozen=True)
class BAIR:
    """The trajectories under a root, those for training and the published ones for test."""

    config: BAIRConfig
    root: Path
    training: tuple[Trajectory, ...]
    tested: tuple[Trajectory, ...]
    spec: ClipSpec

    def segments(self, split: Split) -> list[Segment]:
        """The trajectories of a split, whole. Raises ZooError if there are none or they are shorter than a clip."""
        chosen = self._choose(split)
        length = self.training[0].length
        if length < self.config.frames:
            setting = "data.frames" if split == "train" else "evaluation.frames"
            raise ZooError(
                f"The videos in data.root={self.config.root} have {length} frames, but a clip has "
                f"{self.config.frames}: type {setting}={length}"
            )
        cache, spec = ArrayCache(cache_folder(self.root)), self.spec
        return [
            Segment(Footage(each, spec.height, spec.width, spec.fps, cache, self.config.cached), 0, each.length)
            for each in chosen
        ]

    def _choose(self, split: Split) -> Sequence[Trajectory]:
        published = "val" if not self.config.val_share else "test"
        if split == published:
            chosen: Sequence[Trajectory] = self.tested
        elif split == "test":
            raise ZooError(
                "data=bair with data.val_share=0 has no test split: the published test videos are for validation. "
                "Train with data.val_share=0.02, or type split=val."
            )
        else:
            splits = assign_splits([each.name for each in self.training], self.config.val_share, 0.0)
            chosen = [each for each in self.training if splits[each.name] == split]
        if not chosen:
            raise ZooError(f"data.root={self.config.root} has no video for `{split}`. It takes {LAYOUT}.")
        return chosen

    def notes(self) -> list[str]:
        """Message to show once, if videos are missing."""
        counts = len(self.training), len(self.tested)
        if counts == (TRAINING, TEST):
            return []
        return [
            f"{counts[0]:,} of the {TRAINING:,} training videos of BAIR and {counts[1]} of the {TEST} test videos are "
            f"in data.root={self.config.root}."
        ]


def find_bair(config: BAIRConfig) -> BAIR:
    """Find the trajectories of a configuration. Raises ZooError if settings and files do not match."""
    _check_settings(config)
    root = require_root(config, "the videos", LAYOUT)
    for place in PLACES:
        phases = {phase: root / place / phase for phase in PHASES}
        files = {phase: _list_records(folder) for phase, folder in phases.items()}
        if files["train"]:
            return _from_records(config, root, files)
        folders = {phase: _list_folders(folder) for phase, folder in phases.items()}
        if folders["train"]:
            return _from_folders(config, root, folders)
    names = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    raise ZooError(
        f"data.root={config.root} contains no training videos of BAIR. It takes {LAYOUT}. Found there: "
        f"{abbreviate(names) or 'nothing'}. To see where to get them, type: python -m zoo.data.prepare bair"
    )


def _list_records(folder: Path) -> list[Path]:
    """The TFRecord files of a folder, in natural order."""
    found = [path for path in folder.glob(f"*{RECORD_SUFFIX}") if path.is_file()] if folder.is_dir() else []
    return sorted(found, key=natural_order)


def _list_folders(folder: Path) -> list[Path]:
    """The folders <file>/<number> of a phase, in natural order. Their files are not listed: there are a million."""
    if not folder.is_dir():
        return []
    found = []
    for outer in sorted((path for path in folder.iterdir() if path.is_dir()), key=natural_order):
        with os.scandir(outer) as entries:
            inner = [entry.name for entry in entries if entry.name.isdecimal() and entry.is_dir()]
        found += [outer / name for name in sorted(inner, key=int)]
    return found


def _from_records(config: BAIRConfig, root: Path, files: Mapping[str, Sequence[Path]]) -> BAIR:
    records = _index(root, [path for found in files.values() for path in found])
    first = records[files["train"][0]][0]
    length = frames_of(read_example(first), config.camera)
    if not length:
        raise ZooError(
            f"{first.path} has no feature 0/image_{config.camera}/encoded in its first record, so it is no file of "
            "BAIR."
        )
    trajectories = {
        phase: tuple(
            RecordedTrajectory(
                f"{phase}/{path.name.removesuffix(RECORD_SUFFIX)}/{number}", record, config.camera, length
            )
            for path in found
            for number, record in enumerate(records[path], start=1)
        )
        for phase, found in files.items()
    }
    return _build(config, root, trajectories["train"], trajectories["test"])


def _index(root: Path, paths: Sequence[Path]) -> dict[Path, list[Record]]:
    """The records of each file: from the index in the cache, or read and stored there."""
    home = cache_folder(root)
    known = load_index(home)
    names = {path: path.relative_to(root).as_posix() for path in paths}
    stamps = {path: stamp_of(path) for path in paths}

    def places_of(path: Path) -> list[tuple[int, int]]:
        return _stored_places(known, names[path], stamps[path], path.stat().st_size) or index_records(path)

    with ThreadPoolExecutor() as pool:
        places = dict(zip(paths, pool.map(places_of, paths), strict=True))
    fresh = {names[path]: {stamps[path]: [list(place) for place in places[path]]} for path in paths}
    if fresh != known:
        save_index(home, fresh)
    return {path: [Record(path, stamps[path], *place) for place in found] for path, found in places.items()}


def _stored_places(known: Mapping[str, Any], name: str, stamp: str, size: int) -> list[tuple[int, int]] | None:
    """The places of records from the index; None if they are missing or not inside the file."""
    try:
        places = [(start, length) for start, length in known[name][stamp]]
        inside = all(
            type(start) is type(length) is int and 0 < start < start + length < size for start, length in places
        )
        return places if inside else None
    except (KeyError, TypeError, ValueError):
        return None


def _from_folders(config: BAIRConfig, root: Path, folders: Mapping[str, Sequence[Path]]) -> BAIR:
    if config.camera != PUBLISHED_CAMERA:
        raise ZooError(
            f"data.camera={config.camera}, but folders of PNG files are of the camera {PUBLISHED_CAMERA} alone. For "
            "the other one, use the TFRecord files."
        )
    first = folders["train"][0]
    length = next(number for number in count() if not (first / f"{number}.png").is_file())
    if not length:
        raise ZooError(f"{first} has no 0.png. Expected: {LAYOUT}.")
    trajectories = {
        phase: tuple(PictureTrajectory("/".join((phase, *path.parts[-2:])), path, length) for path in found)
        for phase, found in folders.items()
    }
    return _build(config, root, trajectories["train"], trajectories["test"])


def _build(config: BAIRConfig, root: Path, training: tuple[Trajectory, ...], tested: tuple[Trajectory, ...]) -> BAIR:
    condition = "none" if config.condition == "auto" else config.condition
    acts = isinstance(training[0], RecordedTrajectory)
    present = {
        "video": True,
        "condition": condition != "none",
        "flow": config.flow != "none",
        "visibility": config.flow != "none",
        "actions": acts,
    }
    spec = ClipSpec(
        fields=tuple(name for name, there in present.items() if there),
        frames=config.frames,
        height=config.height,
        width=config.width or config.height,
        fps=config.fps,
        condition_kind=condition,
        condition_channels=DRAWN_CHANNELS.get(condition, 0),
        channels=config.channels,
        action_names=ACTION_NAMES if acts else (),
    )
    found = BAIR(config, root, training, tested, spec)
    found.segments("train")
    return found


def _check_settings(config: BAIRConfig) -> None:
    check_settings(config)
    check_choice("data.condition", config.condition, ("auto", "none", *DRAWN_CHANNELS))
    check_choice("data.camera", config.camera, CAMERAS)
    if config.test_share:
        raise ZooError(
            f"data.test_share={config.test_share:g}, but BAIR has test videos of its own. Leave data.test_share out."
        )
