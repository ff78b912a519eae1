"""Clips of the data set `pose`.

Shapes: T frames, C channels, H x W pixels, J joints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.sequences.clips import ClipWindow, SequenceClips
from zoo.data.sequences.collection import FrameSequence
from zoo.data.sets.pose.config import PoseConfig
from zoo.data.sets.pose.densepose import LAST_PART, densepose_condition
from zoo.data.sets.pose.names import CONDITION_SOURCES
from zoo.data.sets.pose.openpose import draw_people, first_body, place_keypoints, read_people
from zoo.data.sets.pose.skeleton import LIMBS
from zoo.randomness import MASK, mix
from zoo.types import Split

LIMB, PART = 3, 4
"""Integers of the random seeds for limbs and parts; ``sequences.clips`` has the others."""


class PoseClips(SequenceClips):
    """Clips whose condition is a pose: DensePose's image, OpenPose's keypoints as a drawing, or both."""

    def __init__(self, config: PoseConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        super().__init__(config, split, fields, seed)
        self.kinds = CONDITION_SOURCES[self.spec.condition_kind]
        self.limb_dropout = config.limb_dropout
        self.field_readers["pose"] = self._read_body

    def _read_labels(self, window: ClipWindow) -> Tensor:
        """Read DensePose's parts, (T, H, W); none is dropped."""
        return torch.from_numpy(window.images("densepose")[..., 0].astype(np.int64))

    def _read_body(self, window: ClipWindow) -> Tensor:
        """Read the body of the first person, (T, J, 3)."""
        size = (self.spec.height, self.spec.width)
        return torch.from_numpy(np.stack([first_body(people, *size) for people in self._read_frames(window)]))

    def _make_condition(self, window: ClipWindow) -> Tensor:
        """Make the condition, (T, C, H, W) in [-1, 1]; DensePose before OpenPose."""
        draw = {"densepose": self._convert_densepose, "openpose": self._draw_openpose}
        return torch.from_numpy(np.concatenate([draw[kind](window) for kind in self.kinds], axis=1))

    def _convert_densepose(self, window: ClipWindow) -> NDArray[np.float32]:
        return densepose_condition(
            window.images("densepose"), self._choose_dropped(window, PART, range(1, LAST_PART + 1))
        )

    def _draw_openpose(self, window: ClipWindow) -> NDArray[np.float32]:
        dropped, size = self._choose_dropped(window, LIMB, range(LIMBS)), (self.spec.height, self.spec.width)
        return np.stack([draw_people(people, *size, dropped) for people in self._read_frames(window)])

    def _read_frames(self, window: ClipWindow) -> Iterator[NDArray[np.float32]]:
        """Yield the people of each frame, (P, K, 3) in pixels of the clip."""
        video = window.footage.video
        assert isinstance(video, FrameSequence)
        for number in range(window.start, window.stop, window.step):
            people = read_people(video.map_file("openpose", number))
            yield place_keypoints(people, video.size, self.spec.height, self.spec.width)

    def _choose_dropped(self, window: ClipWindow, kind: int, numbers: Iterable[int]) -> frozenset[int]:
        """Choose what is dropped from a clip, each with probability ``limb_dropout``; nothing in validation."""
        if window.draw is None:
            return frozenset()
        threshold = self.limb_dropout * (MASK >> 1)
        return frozenset(number for number in numbers if mix(*window.draw, kind, number) < threshold)
