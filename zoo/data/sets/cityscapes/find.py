"""Find the frames of Cityscapes that have label maps, and which of them are consecutive. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import read_ids, read_image
from zoo.data.sequences.checks import check_settings, require_root, resolve_foreground
from zoo.data.sequences.collection import FrameSequence, Reader, SequenceSet, build_sequence_set
from zoo.data.sequences.files import files_in
from zoo.data.sequences.layouts import explain_wrong_layout
from zoo.data.sets.cityscapes.names import LABELS
from zoo.errors import ZooError
from zoo.types import Split

if TYPE_CHECKING:
    from zoo.data.sets.cityscapes.config import CityscapesConfig

FRAMES = ("leftImg8bit_sequence", "leftImg8bit")
MAPS = "gtFine"
NAME = re.compile(r"(?P<snippet>.+_\d+)_(?P<number>\d+)_leftImg8bit\.png")
PLATE = LABELS.index("license plate")
MAX_TRAIN_ID = 18
"""Largest of the ids that Cityscapes' benchmark is trained on, beside 255 for pixels that do not count."""
PUBLISHED_PLATE = 255
"""The published id -1 in eight bits."""
SPLITS: tuple[Split, ...] = ("train", "val")
"""The published splits with label maps: those of `test` are withheld."""
MIN_INSTANCE_ID = 1000
"""Smallest id of an instance: 1000 times the class, plus a number. Smaller ids are classes without instances."""


@dataclass(frozen=True)
class AnnotatedFrame:
    """A frame with its label map and, if it has one, its instance map. snippet: city and sequence."""

    snippet: str
    number: int
    frame: Path
    labels: Path
    instances: Path | None


def find_sequences(config: CityscapesConfig) -> SequenceSet:
    """Find the runs of annotated frames. Raises ZooError if the layout is wrong or a setting is invalid."""
    check_settings(config)
    foreground = resolve_foreground(config.foreground, LABELS)
    root = require_root(config, "the frames", config.layout.text)
    frames = _find_frames_folder(config, root)
    annotated = {split: _find_annotated(frames / split, root / MAPS / split) for split in SPLITS}
    runs = {split: _split_into_runs(found) for split, found in annotated.items()}
    advice: dict[Split, str] = {split: _advise(frames / split, root / MAPS / split, runs[split]) for split in SPLITS}
    advice["test"] = "Cityscapes publishes its own test frames without label maps, so they cannot be used."
    has_instances = all(each.instances for found in annotated.values() for each in found)
    sequences = [
        _build_sequence(split, run, has_instances, declared=bool(runs["val"]))
        for split in SPLITS
        for run in runs[split]
    ]
    fields = {"labels", "instances"} if has_instances else {"labels"}
    return build_sequence_set(config, root, sequences, fields, advice, label_names=LABELS, foreground=foreground)


def _find_frames_folder(config: CityscapesConfig, root: Path) -> Path:
    frames = [root / name for name in FRAMES if (root / name).is_dir()]
    if frames and (root / MAPS).is_dir():
        return frames[0]
    if not frames and not (root / MAPS).is_dir():
        raise explain_wrong_layout(config, root)
    there, missing = (frames[0].name, MAPS) if frames else (MAPS, FRAMES[0])
    raise ZooError(f"data.root={root} has {there}, but no {missing}. It takes {config.layout.text}.")


def _find_annotated(frames: Path, maps: Path) -> list[AnnotatedFrame]:
    """Find the frames of one split that have a label map, in order."""
    found = []
    for city in sorted(path for path in frames.glob("*") if path.is_dir()):
        city_maps = maps / city.name
        map_names = {path.name for path in city_maps.iterdir()} if city_maps.is_dir() else set()
        for frame in files_in(city, (".png",)):
            name = NAME.fullmatch(frame.name)
            if name is None:
                continue
            stem = f"{name['snippet']}_{name['number']}_{MAPS}"
            labels, instances = f"{stem}_labelIds.png", f"{stem}_instanceIds.png"
            if labels in map_names:
                instance_map = city_maps / instances if instances in map_names else None
                found.append(
                    AnnotatedFrame(name["snippet"], int(name["number"]), frame, city_maps / labels, instance_map)
                )
    return found


def _split_into_runs(annotated: list[AnnotatedFrame]) -> list[list[AnnotatedFrame]]:
    """Split frames where a snippet ends or a frame is missing: in a run, frame number minus position is constant."""
    numbered = enumerate(annotated)
    runs = groupby(numbered, key=lambda pair: (pair[1].snippet, pair[1].number - pair[0]))
    return [[frame for _, frame in run] for _, run in runs]


def _advise(frames: Path, maps: Path, runs: list[list[AnnotatedFrame]]) -> str:
    """Advice for the error message if no run is as long as a clip."""
    return (
        f"{sum(map(len, runs))} of the frames in {frames} have a label map, at most {max(map(len, runs), default=0)} "
        f"in a row: the published {MAPS} annotates one frame per snippet of 30. For longer clips run a segmenter on "
        f"every frame and save its label ids as {maps}/<city>/<city>_<sequence>_<frame>_{MAPS}_labelIds.png."
    )


def _build_sequence(split: Split, run: list[AnnotatedFrame], has_instances: bool, declared: bool) -> FrameSequence:
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
    """Read a label map and convert published ids to those of LABELS, (h, w). Raises ZooError for an unknown id."""
    ids = read_ids(path).astype(np.int32)
    void = ids == PUBLISHED_PLATE
    if void.any() and not void.all() and ids[~void].max() <= MAX_TRAIN_ID:
        raise ZooError(
            f"{path} contains 255 and beside it only ids up to {MAX_TRAIN_ID}: these are trainIds, saved as labelIds. "
            "Use the published labelIds files."
        )
    ids[(ids == PUBLISHED_PLATE) | (ids == -1)] = PLATE
    if ids.max() > PLATE:
        raise ZooError(
            f"{path} contains the label {ids.max()}, but Cityscapes has the ids 0 to {PLATE - 1}, and 255 for the "
            "license plate. Use the labelIds files, not labelTrainIds or colours."
        )
    return ids


def read_instances(path: Path) -> NDArray[np.int32]:
    """Read an instance map, (h, w); 0 where a class has no instances."""
    ids = read_ids(path).astype(np.int32)
    return np.where(ids >= MIN_INSTANCE_ID, ids, 0)
