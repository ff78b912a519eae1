"""Sequences of frames, one file per frame, with the files of their maps, and which of them a split uses. No torch.

Shapes: T frames, h x w pixels as stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Collection as Container
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import read_image
from zoo.data.sequences.config import SequenceConfig
from zoo.data.sequences.copies import describe_copies, find_copies, find_links
from zoo.data.sequences.files import IMAGE_SUFFIXES, files_in, has_suffix, stamp_files
from zoo.data.sequences.find import walk_once
from zoo.data.sequences.split import explain_no_test, split_by_source
from zoo.errors import ZooError
from zoo.types import FIELDS, ClipSpec, Split

Reader = Callable[[Path], NDArray[Any]]


@dataclass(frozen=True)
class FrameSequence:
    """Consecutive frames. files: one per frame for every kind, `frames` among them. readers: of these files, by kind.

    split: the split of the sequence; None if the data set does not define one.
    """

    name: str  # unique in the data set
    path: Path
    files: Mapping[str, tuple[Path, ...]]
    readers: Mapping[str, Reader]
    split: Split | None = None
    stamps: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.files["frames"])

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the first frame, which all files of the sequence must have."""
        height, width, _ = read_image(self.files["frames"][0]).shape
        return height, width

    def stored(self, fps: float) -> NDArray[np.int64]:
        """Numbers of the stored frames, (length,): every frame is used, whatever the frame rate."""
        return np.arange(self.length)

    def stamp_of(self, kind: str) -> str:
        """Fingerprint of the files of a kind, which changes with them; read from disk once."""
        if kind not in self.stamps:
            self.stamps[kind] = stamp_files(self.files[kind])
        return self.stamps[kind]

    def decode_start(self, kind: str, number: int) -> int:
        """Every image is decoded by itself."""
        return number

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """One file per frame."""
        return [self.files["frames"][number] for number in dict.fromkeys(numbers.tolist())]

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a frame's map."""
        return self.files[kind][number]

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read images by number, (h, w) or (h, w, 3). Raises ZooError, naming the file, if it differs in size from its
        frame."""
        for number in numbers:
            picture = self.readers[kind](self.files[kind][number])
            if picture.shape[:2] != self.size:
                raise ZooError(_explain_size(self, kind, int(number), picture.shape))
            yield picture


def _explain_size(sequence: FrameSequence, kind: str, number: int, shape: tuple[int, ...]) -> str:
    height, width = sequence.size
    frame = sequence.files["frames"][0 if kind == "frames" else number]
    role = "the first frame of its sequence" if kind == "frames" else "its frame"
    return (
        f"{sequence.files[kind][number]} is {shape[1]}x{shape[0]} pixels, but {role}, {frame}, is {width}x{height} "
        "(width x height). Frames and maps of a sequence must have the same size. Scale maps by nearest neighbour."
    )


@dataclass(frozen=True)
class SequenceSet:
    """The sequences under a root for a configuration. Each belongs to one split, unless there is a single sequence.

    advice: per split, what to add to the error message if no sequence is as long as a clip.
    """

    config: SequenceConfig
    root: Path
    sequences: tuple[FrameSequence, ...]
    spec: ClipSpec
    advice: Mapping[Split, str]
    copies: Mapping[str, str] = field(default_factory=dict)
    """Sequences with the frames of an earlier one -> that one."""

    def usable(self, split: Split) -> list[FrameSequence]:
        """Return the sequences of a split that are as long as a clip. Raises ZooError if there are none."""
        candidates = [each for each in self.sequences if each.split in (split, None)]
        if split == "test" and not candidates:
            raise explain_no_test(self.config, f"{self.advice['test']} " if "test" in self.advice else "")
        usable = [each for each in candidates if each.length >= self.config.frames]
        if not usable:
            raise ZooError(self._explain_none_long_enough(split, candidates))
        return usable

    def notes(self, split: Split) -> list[str]:
        """Messages to show once: sequences that are too short for a clip, and those that are there twice."""
        notes = [note] if (note := self._describe_skipped(split)) else []
        return notes + describe_copies(self.copies, {each.name: str(each.split) for each in self.sequences})

    def _describe_skipped(self, split: Split) -> str | None:
        """Describe the sequences that are too short for a clip; None if there are none."""
        short = [s for s in self.sequences if s.length < self.config.frames and (s.split in (split, None))]
        if not short:
            return None
        return (
            f"{len(short)} of {len(self.sequences)} sequences in data.root={self.root} are skipped in `{split}`: they "
            f"are shorter than a clip of {self.config.frames} frames, e.g. {short[0].path} with {short[0].length}."
        )

    def _explain_none_long_enough(self, split: Split, candidates: Sequence[FrameSequence]) -> str:
        advice = f" {self.advice[split]}" if split in self.advice else ""
        if not candidates:
            return (
                f"data.root={self.root} contains no sequence for `{split}`. It takes {self.config.layout.text}.{advice}"
            )
        longest = max(candidates, key=lambda each: each.length)
        setting = "data.frames" if split == "train" else "evaluation.frames"
        return (
            f"No sequence for `{split}` in data.root={self.root} has the {self.config.frames} frames of a clip. The "
            f"longest, {longest.path}, has {longest.length}: type {setting}={longest.length}.{advice}"
        )


def build_sequence_set(
    config: SequenceConfig,
    root: Path,
    sequences: Sequence[FrameSequence],
    fields: Container[str],
    advice: Mapping[Split, str] | None = None,
    **maps: Any,
) -> SequenceSet:
    """Build the set of sequences and its spec. fields: fields that the maps provide. maps: what ClipSpec states about
    them.

    If no sequence is for validation, a share of them is held out. Raises ZooError if there is no sequence or the first
    image of a kind is not as expected.
    """
    advice = advice or {}
    if not sequences:
        raise ZooError(f"data.root={root} contains no frames. It takes {config.layout.text}. {advice.get('train', '')}")
    links = find_links({each.name: each.files["frames"] for each in sequences})
    splits = {each.name: each.split for each in sequences}
    sequences = [each for each in sequences if each.name not in links or each.split != splits[links[each.name]]]
    copies = find_copies({each.name: each.files["frames"] for each in sequences})
    for kind in sequences[0].readers:
        next(sequences[0].read(kind, np.zeros(1, np.int64)))
    height, width = sequences[0].size
    there = {"video", *fields} | ({"flow", "visibility"} if config.flow != "none" else set())
    spec = ClipSpec(
        fields=tuple(name for name in FIELDS if name in there),
        frames=config.frames,
        height=config.height,
        width=config.width or proportional_width(config.height, height, width),
        fps=config.fps,
        channels=config.channels,
        **maps,
    )
    return SequenceSet(config, root, tuple(_assign_splits(sequences, config, copies)), spec, advice, copies)


def _assign_splits(
    sequences: Sequence[FrameSequence], config: SequenceConfig, copies: Mapping[str, str]
) -> Sequence[FrameSequence]:
    """Assign a split to every sequence. The length of a clip does not matter: it may differ between the splits.

    Raises ZooError for a share of test sequences if there are some already.
    """
    if len(sequences) == 1:
        return sequences
    declared = {each.split for each in sequences}
    if config.test_share and "test" in declared:
        raise ZooError(
            f"data.test_share={config.test_share:g}, but data.root={config.root} has a test split of its own. Leave "
            "data.test_share out."
        )
    shared = [each.name for each in sequences if "val" not in declared or each.split == "train"]
    splits = split_by_source(shared, 0.0 if "val" in declared else config.val_share, config.test_share, copies)
    return [replace(each, split=splits.get(each.name, each.split)) for each in sequences]


def proportional_width(wanted: int, height: int, width: int) -> int:
    """Width for a wanted height at the aspect ratio of a stored frame, rounded to a multiple of 16."""
    return max(16, round(wanted * width / height / 16) * 16)


def find_leaf_folders(top: Path, suffixes: Container[str] = IMAGE_SUFFIXES) -> dict[str, list[Path]]:
    """Find the folders under ``top`` that contain such files: path under ``top`` -> files in order."""
    found = {}
    for folder, names in walk_once(top):
        if any(has_suffix(name, suffixes) for name in names):
            found[folder.relative_to(top).as_posix()] = files_in(folder, suffixes)
    return found
