"""Clips of moving digits by index: choose digits, draw their trajectories, and return the requested fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.data.base import ClipSet, piece_ranges
from zoo.data.sequences.files import content_checksum
from zoo.data.sets.moving_mnist.config import MovingMNISTConfig
from zoo.data.sets.moving_mnist.digits import Digits, load_digits, resize_digits
from zoo.data.sets.moving_mnist.published import FILE_FRAMES, SRVP_FRAMES, open_srvp_test, open_test_clips
from zoo.data.sets.moving_mnist.render import Rendering
from zoo.data.sets.moving_mnist.trajectories import (
    Room,
    Trajectory,
    predrnn_trajectory,
    srvp_trajectory,
    svg_trajectory,
)
from zoo.errors import ZooError
from zoo.randomness import mix
from zoo.types import Clip, Split

HELD_OUT_CLIPS = 1000
"""Number of validation clips, and of test clips unless they are published ones."""
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Scene:
    """numbers: of the digits of a clip, within those of its split. trajectories: one for each."""

    numbers: list[int]
    trajectories: list[Trajectory]


class MovingMNISTClips(ClipSet):
    """One split. A training clip depends on seed, epoch and index, a held-out clip on its index alone.

    Test clips are the published ones where these can be had: of `srvp`, drawn from its seed out of the test digits; of
    `predrnn`, read from the file if the root has it.
    """

    def __init__(self, config: MovingMNISTConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        self.config, self.split, self.seed = config, split, seed
        self.fields = fields & frozenset(config.spec().fields)
        self.file: Path | None = config.published_test if split == "test" else None
        self.moves, _, how = config.variant.partition("_")
        self.redraws = self.moves != "predrnn" and not how
        self.room = Room(config.pixel_width - config.digit_size, config.height - config.digit_size)

    @property
    def digits(self) -> Digits:
        """The digits of the split, shared by all sets of a process."""
        return load_digits(self.config.root, self.split)

    @property
    def from_srvp(self) -> bool:
        """Whether these are the test clips that SRVP's seed gives."""
        return self.split == "test" and self.moves == "srvp"

    def __len__(self) -> int:
        if self.split == "train":
            return self.config.clips
        if self.file:
            return open_test_clips(self.file).shape[1]
        return len(self.digits) // self.config.digits if self.from_srvp else HELD_OUT_CLIPS

    def clip(self, index: int, epoch: int, frames: int) -> Clip:
        """Return a clip; a longer clip begins with the shorter one."""
        return self._make_clip(index, epoch, range(frames), frames)

    def pieces(self, index: int, frames: int) -> Iterator[Clip]:
        """Yield the clip, drawn piece by piece."""
        return (self._make_clip(index, 0, span, frames) for span in piece_ranges(frames))

    def _make_clip(self, index: int, epoch: int, span: range, frames: int) -> Clip:
        clip: dict[str, Any] = {"fps": torch.tensor(self.config.fps, dtype=torch.float32)}
        if self.file:
            self._check_length(frames, FILE_FRAMES)
            video = open_test_clips(self.file)[span.start : span.stop, index].astype(np.float32) / np.float32(255)
            clip["content"] = content_checksum([self.file])
        else:
            scene = self._scene(index, epoch, frames)
            rendering = self._render(scene, span)
            video = rendering.frames
            clip |= self._compute_fields(scene, rendering, span)
            if self.split != "train":
                clip["content"] = self.digits.checksum
        clip["key"] = f"moving_mnist/{self._name(index, epoch)}/0"
        grey = torch.from_numpy(video)[:, None] * 2 - 1
        clip["video"] = grey.expand(-1, self.config.channels, -1, -1).contiguous()
        return cast(Clip, clip)

    def _name(self, index: int, epoch: int) -> str:
        drawn = f"s{self.seed}-e{epoch}-" if self.split == "train" else ""
        return f"{self.split}-{drawn}{index:06d}"

    def _check_length(self, frames: int, most: int) -> None:
        if frames > most:
            raise ZooError(
                f"The published test clips of variant={self.config.variant} have {most} frames, but {frames} are "
                f"needed. Try: frames={most}"
            )

    def _scene(self, index: int, epoch: int, frames: int) -> Scene:
        """Choose and move the digits of a clip. The random numbers of each digit are a stream of their own."""
        if self.from_srvp:
            self._check_length(frames, SRVP_FRAMES)
            test = open_srvp_test(len(self.digits), self.config.digits, self.room, self.redraws)
            return Scene(test.digits[index].tolist(), test.trajectories(index))
        own = (self.seed, epoch) if self.split == "train" else ()
        streams = [
            np.random.default_rng(mix(SPLITS.index(self.split), index, digit, *own))
            for digit in range(self.config.digits)
        ]
        numbers = [int(stream.integers(len(self.digits))) for stream in streams]
        return Scene(numbers, [self._move(stream, frames) for stream in streams])

    def _move(self, stream: np.random.Generator, frames: int) -> Trajectory:
        if self.moves == "predrnn":
            return predrnn_trajectory(stream.random, frames, self.room)
        rule = svg_trajectory if self.moves == "svg" else srvp_trajectory
        return rule(lambda low, high: int(stream.integers(low, high)), frames, self.room, self.redraws)

    def _render(self, scene: Scene, span: range) -> Rendering:
        return Rendering(
            resize_digits(self.digits.images[scene.numbers], self.config.digit_size),
            np.stack([each.positions[span.start : span.stop] for each in scene.trajectories]),
            self.config.height,
            self.config.pixel_width,
            added=self.moves != "predrnn",
        )

    def _compute_fields(self, scene: Scene, rendering: Rendering, span: range) -> dict[str, Any]:
        classes = self.digits.labels[scene.numbers]
        makers: dict[str, Any] = {
            "labels": lambda: rendering.labels(classes),
            "instances": lambda: rendering.instances,
            "flow": lambda: rendering.flow,
            "visibility": lambda: rendering.visibility,
            "pose": lambda: rendering.centres,
            "bounces": lambda: np.stack([each.bounces[span.start : span.stop] for each in scene.trajectories], 1),
        }
        values: dict[str, Any] = {name: _to_tensor(make()) for name, make in makers.items() if name in self.fields}
        if "attributes" in self.fields:
            values["attributes"] = {"digit": torch.full((len(span),), int(classes[0]), dtype=torch.int64)}
        return values


def _to_tensor(values: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
