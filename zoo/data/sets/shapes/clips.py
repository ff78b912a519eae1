"""Clips of moving shapes by index: draw or read a scene, and return the requested fields."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.data.base import ClipSet, piece_ranges
from zoo.data.sequences.files import content_checksum
from zoo.data.sets.shapes.config import ShapesConfig, check_length
from zoo.data.sets.shapes.names import CANVAS, MOTIONS, PATH_FRAMES, SHAPES, SIZES
from zoo.data.sets.shapes.paths import draw_path
from zoo.data.sets.shapes.published import find_strips, read_scene
from zoo.data.sets.shapes.render import Rendering, Scene, scaled_side
from zoo.data.transforms import to_signed
from zoo.randomness import mix
from zoo.types import Clip, Split

HELD_OUT_CLIPS = 1000
"""Number of drawn validation clips, and of test clips."""
START = 1
"""Last integer of the random seed of a training clip's first frame; that of its scene has none."""


class ShapeClips(ClipSet):
    """One split. A drawn training clip depends on seed, epoch and index, a held-out clip on its index alone.

    Clips of published strips begin at a random frame in training, where there is a choice; else at the first.
    """

    def __init__(self, config: ShapesConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        self.config, self.split, self.seed = config, split, seed
        self.fields = fields & frozenset(config.spec().fields)

    @cached_property
    def strips(self) -> list[Path]:
        """The published strips of the split; none if clips are drawn."""
        return find_strips(self.config.root, self.split) if self.config.root else []

    def __len__(self) -> int:
        if self.config.root:
            return len(self.strips)
        return self.config.clips if self.split == "train" else HELD_OUT_CLIPS

    def clip(self, index: int, epoch: int, frames: int) -> Clip:
        """Return a clip. Raises ZooError for one that is longer than a path, and for unusable files."""
        return self._make_clip(index, self._choose_frames(index, epoch, frames), self._scene(index, epoch), epoch)

    def pieces(self, index: int, frames: int) -> Iterator[Clip]:
        """Yield the clip, drawn piece by piece."""
        shown, scene = self._choose_frames(index, 0, frames), self._scene(index, 0)
        return (self._make_clip(index, shown[span.start : span.stop], scene, 0) for span in piece_ranges(frames))

    def _choose_frames(self, index: int, epoch: int, frames: int) -> range:
        """Numbers of the frames of the path that a clip shows."""
        step = self.config.step
        check_length(frames, step)
        length = (frames - 1) * step + 1
        starts = PATH_FRAMES - length + 1
        start = mix(self.seed, epoch, index, START) % starts if self.split == "train" else 0
        return range(start, start + length, step)

    def _scene(self, index: int, epoch: int) -> Scene:
        if self.config.root:
            return read_scene(self.strips[index])
        own = (self.seed, epoch) if self.split == "train" else ()
        random = np.random.default_rng(mix(("train", "val", "test").index(self.split), index, *own))
        motion, shape, size = (int(random.integers(len(values))) for values in (MOTIONS, SHAPES, SIZES))
        colour = random.integers(256, size=3).astype(np.uint8)
        height, width = self.config.height, self.config.pixel_width
        side = scaled_side(size, height, width, CANVAS)
        return Scene(motion, shape, size, colour, draw_path(random, motion, side, height, width), side)

    def _make_clip(self, index: int, frames: range, scene: Scene, epoch: int) -> Clip:
        rendering = Rendering(scene, frames, self.config.height, self.config.pixel_width)
        clip: dict[str, Any] = {
            "video": torch.from_numpy(to_signed(rendering.video)),
            "fps": torch.tensor(self.config.fps, dtype=torch.float32),
            "key": f"shapes/{self._name(index, epoch)}/{frames.start}",
        }
        makers: dict[str, Any] = {
            "labels": lambda: rendering.labels,
            "instances": lambda: rendering.instances,
            "flow": lambda: rendering.flow,
            "visibility": lambda: rendering.visibility,
            "pose": lambda: rendering.centres,
        }
        clip |= {name: _to_tensor(make()) for name, make in makers.items() if name in self.fields}
        if "attributes" in self.fields:
            values = scene.attributes
            clip["attributes"] = {
                name: torch.full((len(frames),), values[name], dtype=torch.int64) for name in self.config.attributes
            }
        if self.config.root and self.split != "train":
            clip["content"] = content_checksum([self.strips[index]])
        return cast(Clip, clip)

    def _name(self, index: int, epoch: int) -> str:
        if self.config.root:
            path = self.strips[index]
            return f"{path.parent.name}-{path.stem}"
        drawn = f"s{self.seed}-e{epoch}-" if self.split == "train" else ""
        return f"{self.split}-{drawn}{index:06d}"


def _to_tensor(values: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
