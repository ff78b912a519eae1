"""Clips of the data set `pose`.

Shapes: T frames, C channels, H x W pixels, J joints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.sequences.clips import Cut, SequenceClips
from zoo.data.sequences.collection import FrameSequence
from zoo.data.sets.pose.config import PoseConfig
from zoo.data.sets.pose.densepose import LAST_PART, densepose_condition
from zoo.data.sets.pose.names import KINDS
from zoo.data.sets.pose.openpose import draw_people, first_body, placed, read_people
from zoo.data.sets.pose.skeleton import LIMBS
from zoo.randomness import MASK, mix
from zoo.types import Split

LIMB, PART = 3, 4
"""What a number is drawn for; ``sequences.clips`` has the others."""


class PoseClips(SequenceClips):
    """Clips whose condition is a pose: DensePose's picture, OpenPose's keypoints as a drawing, or both."""

    def __init__(self, config: PoseConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        super().__init__(config, split, fields, seed)
        self.kinds = KINDS[self.spec.condition_kind]
        self.limb_dropout = config.limb_dropout
        self.makers["pose"] = self._pose

    def _labels(self, cut: Cut) -> Tensor:
        """(T, H, W): the parts, all of them."""
        return torch.from_numpy(cut.pictures("densepose")[..., 0].astype(np.int64))

    def _pose(self, cut: Cut) -> Tensor:
        """(T, J, 3): the first person's body."""
        size = (self.spec.height, self.spec.width)
        return torch.from_numpy(np.stack([first_body(people, *size) for people in self._people(cut)]))

    def _condition(self, cut: Cut) -> Tensor:
        """(T, C, H, W) in [-1, 1]; DensePose before OpenPose."""
        draw = {"densepose": self._densepose, "openpose": self._openpose}
        return torch.from_numpy(np.concatenate([draw[kind](cut) for kind in self.kinds], axis=1))

    def _densepose(self, cut: Cut) -> NDArray[np.float32]:
        return densepose_condition(cut.pictures("densepose"), self._left_out(cut, PART, range(1, LAST_PART + 1)))

    def _openpose(self, cut: Cut) -> NDArray[np.float32]:
        left_out, size = self._left_out(cut, LIMB, range(LIMBS)), (self.spec.height, self.spec.width)
        return np.stack([draw_people(people, *size, left_out) for people in self._people(cut)])

    def _people(self, cut: Cut) -> Iterator[NDArray[np.float32]]:
        """Of each frame, (P, K, 3) in pixels of the clip."""
        video = cut.footage.video
        assert isinstance(video, FrameSequence)
        for number in range(cut.start, cut.stop, cut.step):
            people = read_people(video.map_file("openpose", number))
            yield placed(people, video.size, self.spec.height, self.spec.width)

    def _left_out(self, cut: Cut, what: int, numbers: Iterable[int]) -> frozenset[int]:
        """Those that are left out of this clip, each with probability ``limb_dropout``; none in evaluation."""
        if cut.draw is None:
            return frozenset()
        below = self.limb_dropout * (MASK >> 1)
        return frozenset(number for number in numbers if mix(*cut.draw, what, number) < below)
