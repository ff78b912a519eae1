"""Which frames are for training and which for evaluation: by video, or by time where there is one video."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from zoo.data.sequences.footage import Footage
from zoo.errors import ZooError
from zoo.types import Split


@dataclass(frozen=True)
class Stretch:
    """Frames first to stop of a video, out of which clips are cut."""

    footage: Footage
    first: int
    stop: int

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.stop - self.first


def split_footage(footage: list[Footage], split: Split, share: float, frames: int) -> list[Stretch]:
    """The stretches of one split; every one has room for a clip of ``frames``."""
    if len(footage) == 1:
        return [_split_time(footage[0], split, share, frames)]
    chosen = held_out([each.video.name for each in footage], share)
    return [Stretch(each, 0, each.video.length) for each in footage if (each.video.name in chosen) == (split == "val")]


def held_out(names: list[str], share: float) -> set[str]:
    """Names for evaluation, chosen by a checksum: one more video moves few others between the splits."""
    count = min(max(1, round(share * len(names))), len(names) - 1)
    return set(sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:count])


def _split_time(footage: Footage, split: Split, share: float, frames: int) -> Stretch:
    """The last share of a video is for evaluation.

    The cut falls between two stored frames: one that is repeated to reach a higher rate is on one side only.
    """
    length = footage.video.length
    wanted = min(length - frames, round(length * (1 - share)))
    boundary = int((footage.stored < footage.stored[max(wanted, 0)]).sum())
    if boundary < frames:
        raise ZooError(
            f"{footage.video.path} is the only usable video, and its {length} frames at "
            f"data.fps={footage.fps:g} do not part into a clip of data.frames={frames} to train on and one "
            f"to evaluate on. Add a video, or type data.frames={max(1, length // 3)}."
        )
    return Stretch(footage, 0, boundary) if split == "train" else Stretch(footage, boundary, length)
