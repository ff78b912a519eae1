"""Clips cut out of footage: where they start, how far apart their frames are, whether they are mirrored.

Shapes: T frames, C channels, H x W pixels, J joints; there is no batch axis.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.base import ClipSet, spans
from zoo.data.sequences.cache import ArrayCache, cache_home
from zoo.data.sequences.collection import Collection
from zoo.data.sequences.config import FootageConfig, SequenceConfig
from zoo.data.sequences.estimated import EstimatedFlow
from zoo.data.sequences.files import content_of
from zoo.data.sequences.footage import FlowSource, Footage
from zoo.data.sequences.split import Stretch, split_footage
from zoo.data.transforms import drawing, to_signed
from zoo.errors import ZooError
from zoo.randomness import mix
from zoo.types import Clip, ClipSpec, Split

SPACING, MIRROR = 1, 2
"""What a number is drawn for, besides the start of a clip."""


@dataclass(frozen=True)
class Cut:
    """Which frames of which footage a clip shows, and how. draw: in training, (seed, epoch, index)."""

    footage: Footage
    start: int
    frames: int
    step: int = 1
    mirrored: bool = False
    draw: tuple[int, int, int] | None = None

    @property
    def stop(self) -> int:
        """Behind the last frame."""
        return self.start + (self.frames - 1) * self.step + 1

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """The frames, (T, H, W, 3), not yet mirrored."""
        return self.footage.frames(self.start, self.stop, self.step)

    def pictures(self, kind: str) -> NDArray[Any]:
        """Maps of a kind, (T, H, W) or (T, H, W, 3), not yet mirrored."""
        return self.footage.pictures(kind, self.start, self.stop, self.step)

    def flow(self, source: FlowSource) -> NDArray[np.float16]:
        """dx, dy and visibility, (T-1, 3, H, W), not yet mirrored."""
        if "flow" in self.footage.kept:
            return self.footage.flow(self.start, self.stop, source, self.step)
        return source(self.pixels)

    @property
    def content(self) -> str:
        """A checksum of the files that the frames are read from."""
        shown = self.footage.stored[self.start : self.stop : self.step]
        return content_of(self.footage.video.frame_files(shown))

    @property
    def key(self) -> str:
        """Video and start; what is drawn in training besides is added."""
        drawn = (f"-step{self.step}" if self.step > 1 else "") + ("-mirrored" if self.mirrored else "")
        return f"{self.footage.video.name}/{self.start}{drawn}"


class FootageClips(ClipSet):
    """Clips cut out of stretches of footage.

    train: each stretch gives a clip for every ``frames`` it is long; where a clip starts is drawn for each epoch, as
    are the spacing of its frames and whether it is mirrored. val: as many clips, spread evenly, the same for every
    seed, of consecutive frames as they are. starts: how many clips each stretch gives instead, spread evenly in
    training, too. attributes: by video name, the values that never change inside it.
    """

    max_step = 1
    flip = False

    def __init__(
        self,
        config: FootageConfig,
        spec: ClipSpec,
        stretches: list[Stretch],
        split: Split,
        fields: frozenset[str],
        seed: int,
        starts: Sequence[int] | None = None,
        attributes: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        self.name, self.spec, self.stretches, self.split, self.seed = config.name, spec, stretches, split, seed
        self.fields = fields & set(spec.fields)
        self.flow = EstimatedFlow(config.flow, config.flow_weights)
        self.draws, self.attributes = split == "train" and starts is None, attributes or {}
        self.counts = [each.length // config.frames for each in stretches] if starts is None else list(starts)
        self.ends = list(accumulate(self.counts))
        self.makers: dict[str, Callable[[Cut], Tensor]] = {
            "labels": self._labels,
            "instances": self._instances,
            "condition": self._condition,
        }

    def __len__(self) -> int:
        return self.ends[-1]

    def clip(self, index: int, epoch: int, frames: int) -> Clip:
        """One clip. A ZooError if the video, or its part in this split, is shorter than ``frames``."""
        return self._film(self._cut(index, epoch, frames))

    def pieces(self, index: int, frames: int) -> Iterator[Clip]:
        """The same, read piece by piece; each has the key of its own start."""
        cut = self._cut(index, 0, frames)
        assert cut.draw is None, "the clips of a training are not cut into pieces"
        return (self._film(replace(cut, start=cut.start + span.start, frames=len(span))) for span in spans(frames))

    def _cut(self, index: int, epoch: int, frames: int) -> Cut:
        which = int(np.searchsorted(self.ends, index, side="right"))
        stretch = self.stretches[which]
        if stretch.length < frames:
            raise ZooError(self._too_short(stretch, frames))
        if self.draws:
            return self._drawn(stretch, index, epoch, frames)
        position = index - (self.ends[which] - self.counts[which])
        offset = round((stretch.length - frames) * position / max(1, self.counts[which] - 1))
        return Cut(stretch.footage, stretch.first + offset, frames)

    def _drawn(self, stretch: Stretch, index: int, epoch: int, frames: int) -> Cut:
        """A training clip: a pure function of seed, epoch and index."""
        draw = (self.seed, epoch, index)
        most = min(self.max_step, (stretch.length - 1) // max(1, frames - 1))
        step = 1 + mix(*draw, SPACING) % max(1, most)
        room = stretch.length - ((frames - 1) * step + 1)
        start = stretch.first + mix(*draw) % (room + 1)
        return Cut(stretch.footage, start, frames, step, self.flip and mix(*draw, MIRROR) % 2 == 1, draw)

    def _too_short(self, stretch: Stretch, frames: int) -> str:
        longest = max(each.length for each in self.stretches)
        return (
            f"{stretch.footage.video.path} has {stretch.length} frames for `{self.split}` at "
            f"data.fps={self.spec.fps:g}; a clip of {frames} was asked. The longest here has {longest}."
        )

    def _film(self, cut: Cut) -> Clip:
        clip: dict[str, Any] = {}
        if self.fields & {"flow", "visibility"}:  # before the frames: it reads one more, in the same go
            estimate = torch.from_numpy(cut.flow(self.flow).astype(np.float32))
            parts = {"flow": estimate[:, :2].contiguous(), "visibility": estimate[:, 2:].contiguous()}
            clip |= {name: part for name, part in parts.items() if name in self.fields}
        clip["video"] = torch.from_numpy(to_signed(cut.pixels))
        clip |= {name: make(cut) for name, make in self.makers.items() if name in self.fields}
        if cut.mirrored:
            clip = {name: mirrored(name, value, self.spec.width) for name, value in clip.items()}
        if "attributes" in self.fields:
            clip["attributes"] = self._attributes(cut)
        if self.split == "val":
            clip["content"] = cut.content
        fps = torch.tensor(cut.footage.fps / cut.step, dtype=torch.float32)
        return cast(Clip, clip | {"fps": fps, "key": f"{self.name}/{cut.key}"})

    def _attributes(self, cut: Cut) -> dict[str, Tensor]:
        """(T,) int64 each: the values of the video, at every frame."""
        values = self.attributes[cut.footage.video.name]
        return {name: torch.full((cut.frames,), value, dtype=torch.int64) for name, value in values.items()}

    def _labels(self, cut: Cut) -> Tensor:
        """(T, H, W) int64. A ZooError names the file with an id that is no class."""
        labels = cut.pictures("labels").astype(np.int64)
        known = len(self.spec.label_names)
        if labels.max() >= known:
            highest = labels.max(axis=(1, 2))
            frame = cut.start + cut.step * int((highest >= known).argmax())
            file = cut.footage.video.map_file("labels", int(cut.footage.stored[frame]))
            raise ZooError(
                f"{file} holds the label {labels.max()}; {known} classes were given, 0 to {known - 1}. "
                f"Type data.label_count={labels.max() + 1}, or change the id."
            )
        return torch.from_numpy(labels)

    def _instances(self, cut: Cut) -> Tensor:
        """(T, H, W) int64, 0 where there is none."""
        return torch.from_numpy(cut.pictures("instances").astype(np.int64))

    def _condition(self, cut: Cut) -> Tensor:
        """What is drawn from each frame, (T, C, H, W)."""
        return torch.from_numpy(np.stack([drawing(frame, self.spec.condition_kind) for frame in cut.pixels]))


class SequenceClips(FootageClips):
    """Clips of a data set whose layout is sequences of frames with files of maps beside them."""

    def __init__(self, config: SequenceConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        collection = config.collection()
        stretches = _stretches(collection, split)
        note = collection.note(split)
        if note:
            warnings.warn(note, stacklevel=2)
        super().__init__(config, collection.spec, stretches, split, fields, seed)
        self.max_step, self.flip = config.max_step, config.flip


def _stretches(collection: Collection, split: Split) -> list[Stretch]:
    """Whole sequences, or a part of the time where there is one sequence."""
    config, spec = collection.config, collection.spec
    cache = ArrayCache(cache_home(collection.root))
    footage = [Footage(each, spec.height, spec.width, spec.fps, cache, config.kept) for each in collection.pool(split)]
    if len(collection.sequences) == 1:
        return split_footage(footage, split, config.val_share, config.frames)
    return [Stretch(each, 0, each.video.length) for each in footage]


def mirrored(name: str, value: Tensor, width: int) -> Tensor:
    """A field of a clip as a mirror shows it: left is right, and what moved right moves left."""
    if name == "pose":
        x, y, confidence = value.unbind(-1)
        return torch.stack([width - 1 - x, y, confidence], dim=-1)
    flipped = value.flip(-1)
    return flipped * flipped.new_tensor([-1, 1]).view(2, 1, 1) if name == "flow" else flipped
