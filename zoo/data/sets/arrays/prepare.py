"""Source and summary for `python -m zoo.data.prepare arrays`. Imports no torch."""

from __future__ import annotations

import zipfile
from pathlib import Path

from zoo.data.archives import unpack
from zoo.data.sequences.labelled import Survey, abbreviate
from zoo.data.sequences.split import Segment
from zoo.data.sets.arrays.config import ArraysConfig
from zoo.data.sets.arrays.find import Arrays, find_arrays
from zoo.data.sets.arrays.mapped import is_compressed
from zoo.data.sets.arrays.names import LAYOUT
from zoo.errors import ZooError
from zoo.types import Split

SOURCE = (
    f"It takes {LAYOUT}, such as the published Moving MNIST, mnist_test_seq.npy. Arrays have 2 to 5 axes: videos, "
    "frames, height, width, channels, in the order that data.axes says or that the shapes tell. This command unpacks "
    "compressed .npz files beside themselves. The zoo downloads nothing."
)


def survey(config: ArraysConfig) -> tuple[Survey, list[Segment]]:
    """Unpack compressed archives, and state what every array is taken for; returns the training segments, too."""
    unpacked = _unpack_compressed(Path(config.root).expanduser())
    found = find_arrays(config)
    rows = tuple(
        (array.name, str(axes.shape), axes.order, str(array.values.dtype), str(axes.size("N")), str(axes.size("T")))
        for array, axes in found.arrays
    )
    title = f"{sum(axes.size('N') for _, axes in found.arrays)} videos in {len(rows)} arrays in {found.root}"
    notes = [*unpacked, *_count_splits(found), *found.notes()]
    notes.append(f"Black is {found.levels.black:g}, white is {found.levels.white:g} (data.levels).")
    if config.channels == 3 and all(axes.size("C") == 1 for _, axes in found.arrays):
        notes.append("The arrays have one channel, which clips repeat three times. For one, type data.channels=1")
    headings = ("array", "shape", "axes", "type", "videos", "frames")
    return Survey(title, headings, rows, tuple(notes)), found.segments("train")


def _count_splits(found: Arrays) -> list[str]:
    """Sentence about the number of videos of each split; none if a single video is split in time."""
    counts = []
    splits: tuple[Split, ...] = ("train", "val", "test")
    for split in splits:
        try:
            counts.append(f"{len(found.segments(split))} for {split}")
        except ZooError:
            counts.append(f"none for {split}")
    return [f"Videos: {abbreviate(counts)}."]


def _unpack_compressed(root: Path) -> list[str]:
    """Unpack compressed .npz files, each into a folder of its name; returns one sentence for each."""
    files = [root] if root.is_file() else sorted(root.rglob("*.npz"))
    sentences = []
    for path in files:
        if path.suffix.lower() == ".npz" and path.is_file():
            try:
                compressed = is_compressed(path)
            except (OSError, zipfile.BadZipFile):
                continue  # said by the search
            sentences += [unpack(path)] if compressed else []
    return sentences
