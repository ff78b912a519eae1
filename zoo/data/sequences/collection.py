"""Sequences of frames as files, with the files of their maps, and those of them that a split can use. No torch.

Shapes: T frames, h x w pixels as they are stored.
"""

from __future__ import annotations

import os
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
from zoo.data.sequences.files import IMAGE_SUFFIXES, files_in, has_suffix, stamp_of_files
from zoo.data.sequences.split import held_out
from zoo.errors import ZooError
from zoo.types import FIELDS, ClipSpec, Split

SPLITS: tuple[Split, ...] = ("train", "val")
Reader = Callable[[Path], NDArray[Any]]


@dataclass(frozen=True)
class FrameSequence:
    """Consecutive frames. files: one a frame of every kind, `frames` among them. readers: of these files, by kind.

    split: what the sequence is for, None where the data set does not say.
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
        """Height and width of the first frame, which all files of the sequence share."""
        height, width, _ = read_image(self.files["frames"][0]).shape
        return height, width

    def stored(self, fps: float) -> NDArray[np.int64]:
        """(length,): every frame is taken, whatever rate is claimed for them."""
        return np.arange(self.length)

    def stamp_of(self, kind: str) -> str:
        """Another stamp is another content; asked of the disk once."""
        if kind not in self.stamps:
            self.stamps[kind] = stamp_of_files(self.files[kind])
        return self.stamps[kind]

    def begins_at(self, kind: str, number: int) -> int:
        """A picture stands alone."""
        return number

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """A file a frame."""
        return [self.files["frames"][number] for number in dict.fromkeys(numbers.tolist())]

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a frame's map."""
        return self.files[kind][number]

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Pictures by number, (h, w) or (h, w, 3). A ZooError names the file that is not of its frame's size."""
        for number in numbers:
            picture = self.readers[kind](self.files[kind][number])
            if picture.shape[:2] != self.size:
                raise ZooError(_other_size(self, kind, int(number), picture.shape))
            yield picture


def _other_size(sequence: FrameSequence, kind: str, number: int, shape: tuple[int, ...]) -> str:
    height, width = sequence.size
    frame = sequence.files["frames"][0 if kind == "frames" else number]
    role = "the first frame of its sequence" if kind == "frames" else "its frame"
    return (
        f"{sequence.files[kind][number]} is {shape[1]}x{shape[0]} pixels; {role}, {frame}, is {width}x{height} "
        "(width x height). Frames and maps of a sequence have one size: scale maps by the nearest pixel."
    )


@dataclass(frozen=True)
class Collection:
    """What a root holds for a configuration. Each sequence is for one split, but for one that is all there is.

    advice: what else to say when a split has no sequence as long as a clip.
    """

    config: SequenceConfig
    root: Path
    sequences: tuple[FrameSequence, ...]
    spec: ClipSpec
    advice: Mapping[Split, str]

    def pool(self, split: Split) -> list[FrameSequence]:
        """The sequences for a split that have room for a clip. A ZooError if there are none."""
        candidates = [each for each in self.sequences if each.split in (split, None)]
        usable = [each for each in candidates if each.length >= self.config.frames]
        if not usable:
            raise ZooError(self._none_long_enough(split, candidates))
        return usable

    def note(self, split: Split) -> str | None:
        """A sentence on the sequences that are too short."""
        short = [s for s in self.sequences if s.length < self.config.frames and (s.split in (split, None))]
        if not short:
            return None
        return (
            f"{len(short)} of {len(self.sequences)} sequences in data.root={self.root} are left out of `{split}`: they "
            f"are shorter than a clip of {self.config.frames} frames, e.g. {short[0].path} with {short[0].length}."
        )

    def _none_long_enough(self, split: Split, candidates: Sequence[FrameSequence]) -> str:
        advice = f" {self.advice[split]}" if split in self.advice else ""
        if not candidates:
            return f"data.root={self.root} holds no sequence for `{split}`. It takes {self.config.layout.text}.{advice}"
        longest = max(candidates, key=lambda each: each.length)
        setting = "data.frames" if split == "train" else "evaluation.frames"
        return (
            f"Clips of {self.config.frames} frames were asked; no sequence for `{split}` in data.root={self.root} has "
            f"that many. The longest, {longest.path}, has {longest.length}: type {setting}={longest.length}.{advice}"
        )


def collect(
    config: SequenceConfig,
    root: Path,
    sequences: Sequence[FrameSequence],
    fields: Container[str],
    advice: Mapping[Split, str] | None = None,
    **maps: Any,
) -> Collection:
    """A collection and its spec. fields: those of maps. maps: what ClipSpec says of them.

    Where no sequence is for evaluation, a share of several is held out. Raises ZooError if there is no sequence, or
    if a first picture is not as it should be.
    """
    advice = advice or {}
    if not sequences:
        raise ZooError(f"data.root={root} holds no frames. It takes {config.layout.text}. {advice.get('train', '')}")
    for kind in sequences[0].readers:
        next(sequences[0].read(kind, np.zeros(1, np.int64)))
    height, width = sequences[0].size
    there = {"video", *fields} | ({"flow", "visibility"} if config.flow != "none" else set())
    spec = ClipSpec(
        fields=tuple(name for name in FIELDS if name in there),
        frames=config.frames,
        height=config.height,
        width=config.width or proportional(config.height, height, width),
        fps=config.fps,
        **maps,
    )
    return Collection(config, root, tuple(_assigned(sequences, config.val_share)), spec, advice)


def _assigned(sequences: Sequence[FrameSequence], share: float) -> Sequence[FrameSequence]:
    """Each with its split. A share is held out of all of them, however long a clip is: it may differ between splits."""
    if len(sequences) == 1 or any(each.split == "val" for each in sequences):
        return sequences
    val = held_out([each.name for each in sequences], share)
    return [replace(each, split="val" if each.name in val else "train") for each in sequences]


def proportional(wanted: int, height: int, width: int) -> int:
    """The width of a stored frame's proportion for a wanted height, rounded to a multiple of 16."""
    return max(16, round(wanted * width / height / 16) * 16)


def leaf_folders(top: Path, suffixes: Container[str] = IMAGE_SUFFIXES) -> dict[str, list[Path]]:
    """Every folder under ``top`` that holds such files: its path under ``top``, and the files in their order."""
    found = {}
    for folder, folders, names in os.walk(top, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if any(has_suffix(name, suffixes) for name in names):
            found[Path(folder).relative_to(top).as_posix()] = files_in(Path(folder), suffixes)
    return found
