"""Clips of the data set `folder`.

Shapes: T frames, H x W pixels; there is no batch axis.
"""

from __future__ import annotations

import warnings
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.base import ClipSet
from zoo.data.sets.folder.cache import ArrayCache, cache_home
from zoo.data.sets.folder.catalogue import open_catalogue
from zoo.data.sets.folder.config import FolderConfig
from zoo.data.sets.folder.flow import EstimatedFlow
from zoo.data.sets.folder.footage import Footage
from zoo.data.sets.folder.split import Stretch, split_footage
from zoo.data.transforms import edges, to_signed
from zoo.errors import ZooError
from zoo.randomness import mix
from zoo.types import Clip, Split


class FolderClips(ClipSet):
    """Clips cut out of a folder's videos.

    train: each video gives a clip for every ``frames`` it is long; where a clip starts is drawn for each
    epoch. val: as many clips, spread evenly, the same for every seed.
    """

    def __init__(self, config: FolderConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        catalogue = open_catalogue(config)
        for note in catalogue.notes():
            warnings.warn(note, stacklevel=2)
        self.spec = catalogue.spec()
        self.fields = fields & set(self.spec.fields)
        self.split = split
        self.seed = seed
        self.flow = EstimatedFlow(config.flow, config.flow_weights)
        cache = ArrayCache(cache_home(catalogue.root))
        footage = [Footage(video, self.spec.height, self.spec.width, config.fps, cache) for video in catalogue.videos]
        self.stretches = split_footage(footage, split, config.val_share, config.frames)
        self.counts = [stretch.length // config.frames for stretch in self.stretches]
        self.ends = list(accumulate(self.counts))

    def __len__(self) -> int:
        return self.ends[-1]

    def clip(self, index: int, epoch: int, frames: int) -> Clip:
        """One clip. A ZooError if the video, or its part in this split, is shorter than ``frames``."""
        which = int(np.searchsorted(self.ends, index, side="right"))
        stretch = self.stretches[which]
        room = stretch.length - frames
        if room < 0:
            raise ZooError(self._too_short(stretch, frames))
        if self.split == "train":
            offset = mix(self.seed, epoch, index) % (room + 1)
        else:
            position = index - (self.ends[which] - self.counts[which])
            offset = round(room * position / max(1, self.counts[which] - 1))
        return self._cut(stretch.footage, stretch.first + offset, frames)

    def _too_short(self, stretch: Stretch, frames: int) -> str:
        longest = max(each.length for each in self.stretches)
        return (
            f"{stretch.footage.video.path} has {stretch.length} frames for `{self.split}` at "
            f"data.fps={self.spec.fps:g}; a clip of {frames} was asked. The longest here has {longest}."
        )

    def _cut(self, footage: Footage, start: int, frames: int) -> Clip:
        stop = start + frames
        pixels = footage.frames(start, stop)
        clip: Clip = {
            "video": torch.from_numpy(to_signed(pixels)),
            "fps": torch.tensor(footage.fps, dtype=torch.float32),
            "key": f"folder/{footage.video.name}/{start}",  # type: ignore[typeddict-item]  # a list once collated
        }
        if "condition" in self.fields:
            clip["condition"] = _edge_maps(pixels)
        if "labels" in self.fields:
            clip["labels"] = self._labels(footage, start, stop)
        if "instances" in self.fields:
            clip["instances"] = torch.from_numpy(footage.maps("instances", start, stop).astype(np.int64))
        if self.fields & {"flow", "visibility"}:
            estimate = torch.from_numpy(footage.flow(start, stop, self.flow).astype(np.float32))
            if "flow" in self.fields:
                clip["flow"] = estimate[:, :2].contiguous()
            if "visibility" in self.fields:
                clip["visibility"] = estimate[:, 2:].contiguous()
        return clip

    def _labels(self, footage: Footage, start: int, stop: int) -> Tensor:
        labels = footage.maps("labels", start, stop).astype(np.int64)
        known = len(self.spec.label_names)
        if labels.max() >= known:
            raise ZooError(
                f"{footage.video.maps['labels'].path} holds the label {labels.max()}; {known} classes were "
                f"given, 0 to {known - 1}. Type data.label_count={labels.max() + 1}, or change the id."
            )
        return torch.from_numpy(labels)


def _edge_maps(pixels: NDArray[np.uint8]) -> Tensor:
    """(T, H, W, 3) to (T, 1, H, W)."""
    return torch.from_numpy(np.stack([edges(frame) for frame in pixels])[:, None])
