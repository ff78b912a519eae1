"""Which frames of Cityscapes have label maps, and which of them follow each other. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import read_ids, read_image
from zoo.data.sequences.checks import check_footage, existing_root, foreground_names
from zoo.data.sequences.collection import SPLITS, Collection, FrameSequence, Reader, collect
from zoo.data.sequences.files import files_in
from zoo.data.sequences.layouts import wrong_layout
from zoo.data.sets.cityscapes.names import LABELS
from zoo.errors import ZooError
from zoo.types import Split

if TYPE_CHECKING:
    from zoo.data.sets.cityscapes.config import CityscapesConfig

FRAMES = ("leftImg8bit_sequence", "leftImg8bit")
MAPS = "gtFine"
NAME = re.compile(r"(?P<snippet>.+_\d+)_(?P<number>\d+)_leftImg8bit\.png")
PLATE = LABELS.index("license plate")
PUBLISHED_PLATE = 255
"""-1, as eight bits hold it."""
FIRST_INSTANCE = 1000
"""Ids of instances are 1000 times the class and a number; smaller ones are classes without instances."""


@dataclass(frozen=True)
class Annotated:
    """A frame with its label map and, if it has one, its map of instances. snippet: city and sequence."""

    snippet: str
    number: int
    frame: Path
    labels: Path
    instances: Path | None


def find(config: CityscapesConfig) -> Collection:
    """The runs of annotated frames. Raises ZooError if there are none as long as a clip."""
    check_footage(config)
    foreground = foreground_names(config.foreground, LABELS)
    root = existing_root(config, "the frames", config.layout.text)
    frames = _frames_folder(config, root)
    annotated = {split: _annotated(frames / split, root / MAPS / split) for split in SPLITS}
    runs = {split: _runs(found) for split, found in annotated.items()}
    advice = {split: _advice(frames / split, root / MAPS / split, runs[split]) for split in SPLITS}
    has_instances = all(each.instances for found in annotated.values() for each in found)
    sequences = [
        _sequence(split, run, has_instances, declared=bool(runs["val"])) for split in SPLITS for run in runs[split]
    ]
    fields = {"labels", "instances"} if has_instances else {"labels"}
    return collect(config, root, sequences, fields, advice, label_names=LABELS, foreground=foreground)


def _frames_folder(config: CityscapesConfig, root: Path) -> Path:
    frames = [root / name for name in FRAMES if (root / name).is_dir()]
    if frames and (root / MAPS).is_dir():
        return frames[0]
    if not frames and not (root / MAPS).is_dir():
        raise wrong_layout(config, root)
    there, missing = (frames[0].name, MAPS) if frames else (MAPS, FRAMES[0])
    raise ZooError(f"data.root={root} has {there}, and no {missing}. It takes {config.layout.text}.")


def _annotated(frames: Path, maps: Path) -> list[Annotated]:
    """The frames of one split that have a label map, in their order."""
    found = []
    for city in sorted(path for path in frames.glob("*") if path.is_dir()):
        beside = maps / city.name
        there = {path.name for path in beside.iterdir()} if beside.is_dir() else set()
        for frame in files_in(city, (".png",)):
            name = NAME.fullmatch(frame.name)
            if name is None:
                continue
            stem = f"{name['snippet']}_{name['number']}_{MAPS}"
            labels, instances = f"{stem}_labelIds.png", f"{stem}_instanceIds.png"
            if labels in there:
                map_of_instances = beside / instances if instances in there else None
                found.append(Annotated(name["snippet"], int(name["number"]), frame, beside / labels, map_of_instances))
    return found


def _runs(annotated: list[Annotated]) -> list[list[Annotated]]:
    """Cut where a snippet ends or a frame is missing: numbers that follow each other less their place are the same."""
    numbered = enumerate(annotated)
    runs = groupby(numbered, key=lambda pair: (pair[1].snippet, pair[1].number - pair[0]))
    return [[frame for _, frame in run] for _, run in runs]


def _advice(frames: Path, maps: Path, runs: list[list[Annotated]]) -> str:
    """What to say when no run is as long as a clip."""
    return (
        f"{sum(map(len, runs))} of the frames in {frames} have a label map, at most {max(map(len, runs), default=0)} "
        f"in a row: the published {MAPS} annotates one in each snippet of 30. For longer clips run a segmenter on "
        f"every frame, and save its label ids as {maps}/<city>/<city>_<sequence>_<frame>_{MAPS}_labelIds.png."
    )


def _sequence(split: Split, run: list[Annotated], has_instances: bool, declared: bool) -> FrameSequence:
    first = run[0]
    files = {"frames": tuple(each.frame for each in run), "labels": tuple(each.labels for each in run)}
    if has_instances:
        files["instances"] = tuple(each.instances for each in run if each.instances)
    readers: dict[str, Reader] = {"frames": read_image, "labels": read_labels, "instances": read_instances}
    return FrameSequence(
        f"{split}/{first.snippet}_{first.number:06d}",
        first.frame,
        files,
        {kind: readers[kind] for kind in files},
        split if declared else None,
    )


def read_labels(path: Path) -> NDArray[np.int32]:
    """Published ids to those of LABELS, (h, w). A ZooError names the file with an id that is no class."""
    ids = read_ids(path).astype(np.int32)
    ids[(ids == PUBLISHED_PLATE) | (ids == -1)] = PLATE
    if ids.max() > PLATE:
        raise ZooError(
            f"{path} holds the label {ids.max()}; Cityscapes has the ids 0 to {PLATE - 1}, and 255 for the license "
            "plate. The files of labelIds are meant, not those of labelTrainIds or colours."
        )
    return ids


def read_instances(path: Path) -> NDArray[np.int32]:
    """Ids of instances, 0 where a class has none, (h, w)."""
    ids = read_ids(path).astype(np.int32)
    return np.where(ids >= FIRST_INSTANCE, ids, 0)
