"""Clips of videos: where they start, the spacing of their frames, and whether they are mirrored.

Shapes: T frames, C channels, H x W pixels, J joints; there is no batch axis.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.base import ClipSet, piece_ranges
from zoo.data.selection import random_start
from zoo.data.sequences.cache import ArrayCache, cache_folder
from zoo.data.sequences.collection import SequenceSet
from zoo.data.sequences.config import FootageConfig, SequenceConfig
from zoo.data.sequences.estimated_flow import EstimatedFlow
from zoo.data.sequences.files import content_checksum, describe_files
from zoo.data.sequences.footage import FlowSource, Footage
from zoo.data.sequences.split import Segment, split_footage
from zoo.data.transforms import drawing, to_signed
from zoo.errors import ZooError
from zoo.randomness import mix
from zoo.types import IGNORED, Clip, ClipSpec, Split

SPACING, MIRROR = 1, 2
"""Last integer of the random seed of the spacing and the mirroring; the start of a clip has none."""


@dataclass(frozen=True)
class ClipWindow:
    """The frames of a video that a clip shows, and how. draw: for random training clips, (seed, epoch, index)."""

    footage: Footage
    start: int
    frames: int
    step: int = 1
    mirrored: bool = False
    draw: tuple[int, int, int] | None = None

    @property
    def stop(self) -> int:
        """Number of the frame after the last one."""
        return self.start + (self.frames - 1) * self.step + 1

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """The frames, (T, H, W, 3), not mirrored yet."""
        return self.footage.frames(self.start, self.stop, self.step)

    def images(self, kind: str) -> NDArray[Any]:
        """Maps of a kind, (T, H, W) or (T, H, W, 3), not mirrored yet."""
        return self.footage.images(kind, self.start, self.stop, self.step)

    def flow(self, source: FlowSource) -> NDArray[np.float16]:
        """dx, dy and visibility, (T-1, 3, H, W), not mirrored yet."""
        if "flow" in self.footage.cached:
            return self.footage.flow(self.start, self.stop, source, self.step)
        return source(self.pixels)

    @property
    def content(self) -> str:
        """Checksum of the files that contain the frames."""
        shown = self.footage.stored[self.start : self.stop : self.step]
        return content_checksum(self.footage.video.frame_files(shown))

    @property
    def key(self) -> str:
        """Name of the video and first frame; in training also the spacing and whether the clip is mirrored."""
        suffix = (f"-step{self.step}" if self.step > 1 else "") + ("-mirrored" if self.mirrored else "")
        return f"{self.footage.video.name}/{self.start}{suffix}"


class FootageClips(ClipSet):
    """Clips of segments of videos.

    train: a segment gives one clip per ``frames`` of its length; for every epoch the first frame is drawn at random,
    and so are the spacing of the frames and whether the clip is mirrored. val, test: as many clips, evenly spaced, of
    consecutive frames; the same for every seed.

    starts: number of clips of each segment instead, evenly spaced in training too. attributes: by video name, the
    values that are constant in a video. step: spacing of the frames of a clip, in every split.
    """

    max_step = 1
    flip = False

    def __init__(
        self,
        config: FootageConfig,
        spec: ClipSpec,
        segments: list[Segment],
        split: Split,
        fields: frozenset[str],
        seed: int,
        starts: Sequence[int] | None = None,
        attributes: Mapping[str, Mapping[str, int]] | None = None,
        step: int = 1,
    ) -> None:
        self.name, self.spec, self.segments, self.split, self.seed = config.name, spec, segments, split, seed
        self.fields = fields & set(spec.fields)
        self.flow = EstimatedFlow(config.flow, config.flow_weights)
        self.is_random, self.attributes = split == "train" and starts is None, attributes or {}
        self.step, self.ignore = step, list(getattr(config, "ignore", ()))
        span = self._span(config.frames)
        self.counts = [each.length // span for each in segments] if starts is None else list(starts)
        self.ends = list(accumulate(self.counts))
        self.field_readers: dict[str, Callable[[ClipWindow], Tensor]] = {
            "labels": self._read_labels,
            "instances": self._read_instances,
            "condition": self._make_condition,
        }

    def __len__(self) -> int:
        return self.ends[-1]

    def clip(self, index: int, epoch: int, frames: int) -> Clip:
        """Return one clip. Raises ZooError if the video, or its part in this split, is shorter than ``frames``."""
        return self._load_clip(self._choose_window(index, epoch, frames))

    def pieces(self, index: int, frames: int) -> Iterator[Clip]:
        """Yield the clip, read piece by piece; each piece has the key of its own first frame."""
        window = self._choose_window(index, 0, frames)
        assert window.draw is None, "training clips have no pieces"
        return (
            self._load_clip(replace(window, start=window.start + span.start * window.step, frames=len(span)))
            for span in piece_ranges(frames)
        )

    def contents(self) -> Mapping[str, str]:
        """Describe the files of the frames and maps of each video, and the frames that belong to this split."""
        described, kinds = {}, [kind for kind in ("labels", "instances") if kind in self.spec.fields]
        for segment in self.segments:
            video, stored = segment.footage.video, np.zeros(1, np.int64)
            if kinds or video.path.is_dir():  # of a single file, the numbers of the frames, slow to read, do not matter
                stored = np.unique(segment.footage.stored)
            files = list(video.frame_files(stored))
            for kind in kinds:
                with suppress(KeyError):  # labels of DensePose are read from another kind of file
                    files += [video.map_file(kind, int(number)) for number in stored]
            described[video.name] = f"{describe_files(files)}, frames {segment.first} to {segment.stop}"
        return described

    def video_count(self, frames: int) -> int:
        """Number of videos whose part in this split is long enough."""
        return len(self._long_enough(frames))

    def random_clip(self, video: int, frames: int, seed: int) -> Clip:
        """Return a clip of consecutive frames, not mirrored, at a random place of a video; in every split with the
        checksum of its content."""
        segment = self._long_enough(frames)[video]
        start = segment.first + random_start(segment.footage.video.name, segment.length, self._span(frames), seed)
        window = ClipWindow(segment.footage, start, frames, self.step)
        return cast(Clip, self._load_clip(window) | {"content": window.content})

    def _long_enough(self, frames: int) -> list[Segment]:
        return [segment for segment in self.segments if segment.length >= self._span(frames)]

    def _span(self, frames: int) -> int:
        """Frames of a video from the first to the last one of a clip."""
        return (frames - 1) * self.step + 1

    def _choose_window(self, index: int, epoch: int, frames: int) -> ClipWindow:
        which = int(np.searchsorted(self.ends, index, side="right"))
        segment = self.segments[which]
        if segment.length < self._span(frames):
            raise ZooError(self._explain_too_short(segment, frames))
        if self.is_random:
            return self._draw_window(segment, index, epoch, frames)
        position = index - (self.ends[which] - self.counts[which])
        offset = round((segment.length - self._span(frames)) * position / max(1, self.counts[which] - 1))
        return ClipWindow(segment.footage, segment.first + offset, frames, self.step)

    def _draw_window(self, segment: Segment, index: int, epoch: int, frames: int) -> ClipWindow:
        """Draw the window of a training clip, a pure function of seed, epoch and index."""
        draw = (self.seed, epoch, index)
        max_multiple = min(self.max_step, (segment.length - 1) // max(1, self._span(frames) - 1))
        step = self.step * (1 + mix(*draw, SPACING) % max(1, max_multiple))
        last_offset = segment.length - ((frames - 1) * step + 1)
        start = segment.first + mix(*draw) % (last_offset + 1)
        return ClipWindow(segment.footage, start, frames, step, self.flip and mix(*draw, MIRROR) % 2 == 1, draw)

    def _explain_too_short(self, segment: Segment, frames: int) -> str:
        longest = max(each.length for each in self.segments)
        return (
            f"{segment.footage.video.path} has {segment.length} frames for `{self.split}` at "
            f"data.fps={self.spec.fps:g}, but a clip of {frames} was requested"
            f"{f' at a spacing of {self.step}' if self.step > 1 else ''}. The longest video here has {longest}."
        )

    def _load_clip(self, window: ClipWindow) -> Clip:
        clip: dict[str, Any] = {}
        if self.fields & {
            "flow",
            "visibility",
        }:  # before the frames: it needs one frame more, so all are read in one pass
            estimate = torch.from_numpy(window.flow(self.flow).astype(np.float32))
            parts = {"flow": estimate[:, :2].contiguous(), "visibility": estimate[:, 2:].contiguous()}
            clip |= {name: part for name, part in parts.items() if name in self.fields}
        clip["video"] = torch.from_numpy(to_signed(window.pixels))
        clip |= {name: read(window) for name, read in self.field_readers.items() if name in self.fields}
        if window.mirrored:
            clip = {name: mirror_field(name, value, self.spec.width) for name, value in clip.items()}
        if "attributes" in self.fields:
            clip["attributes"] = self._repeat_attributes(window)
        if self.split != "train":
            clip["content"] = window.content
        fps = torch.tensor(window.footage.fps / window.step, dtype=torch.float32)
        return cast(Clip, clip | {"fps": fps, "key": f"{self.name}/{window.key}"})

    def _repeat_attributes(self, window: ClipWindow) -> dict[str, Tensor]:
        """Repeat the values of the video for every frame, (T,) int64 each."""
        values = self.attributes[window.footage.video.name]
        return {name: torch.full((window.frames,), value, dtype=torch.int64) for name, value in values.items()}

    def _read_labels(self, window: ClipWindow) -> Tensor:
        """Read the labels, (T, H, W) int64. Raises ZooError, naming the file, for an id that is no class."""
        labels = window.images("labels").astype(np.int64)
        labels[np.isin(labels, self.ignore)] = IGNORED
        known = len(self.spec.label_names)
        if labels.max() >= known:
            highest = labels.max(axis=(1, 2))
            frame = window.start + window.step * int((highest >= known).argmax())
            file = window.footage.video.map_file("labels", int(window.footage.stored[frame]))
            raise ZooError(
                f"{file} contains the label {labels.max()}, but {known} classes were given, 0 to {known - 1}. "
                f"Type data.label_count={labels.max() + 1}, or data.ignore=[{labels.max()}] if it is no class."
            )
        return torch.from_numpy(labels)

    def _read_instances(self, window: ClipWindow) -> Tensor:
        """Read the instance ids, (T, H, W) int64; 0 is no instance."""
        return torch.from_numpy(window.images("instances").astype(np.int64))

    def _make_condition(self, window: ClipWindow) -> Tensor:
        """Compute the condition from the frames, (T, C, H, W)."""
        return torch.from_numpy(np.stack([drawing(frame, self.spec.condition_kind) for frame in window.pixels]))


class SequenceClips(FootageClips):
    """Clips of a data set of frame sequences, with files of maps beside them."""

    def __init__(self, config: SequenceConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        collection = config.collection()
        segments = _open_segments(collection, split)
        for note in collection.notes(split):
            warnings.warn(note, stacklevel=2)
        super().__init__(config, collection.spec, segments, split, fields, seed)
        self.max_step, self.flip = config.max_step, config.flip


def _open_segments(collection: SequenceSet, split: Split) -> list[Segment]:
    """Open the segments of a split: whole sequences, or a part of the duration if there is a single sequence."""
    config, spec = collection.config, collection.spec
    cache = ArrayCache(cache_folder(collection.root))
    footage = [
        Footage(each, spec.height, spec.width, spec.fps, cache, config.cached) for each in collection.usable(split)
    ]
    if len(collection.sequences) == 1:
        return split_footage(footage, split, config, {})
    return [Segment(each, 0, each.video.length) for each in footage]


def mirror_field(name: str, value: Tensor, width: int) -> Tensor:
    """Mirror a field of a clip horizontally; horizontal motion changes its sign."""
    if name == "pose":
        x, y, confidence = value.unbind(-1)
        return torch.stack([width - 1 - x, y, confidence], dim=-1)
    flipped = value.flip(-1)
    return flipped * flipped.new_tensor([-1, 1]).view(2, 1, 1) if name == "flow" else flipped
