"""Split footage into training and validation: by video, or by time if there is a single video."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from zoo.data.sequences.footage import Footage
from zoo.errors import ZooError
from zoo.types import Split


@dataclass(frozen=True)
class Segment:
    """Frames ``first`` to ``stop`` (exclusive) of a video; clips are taken from it."""

    footage: Footage
    first: int
    stop: int

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.stop - self.first


def split_footage(footage: list[Footage], split: Split, share: float, frames: int) -> list[Segment]:
    """Return the segments of one split. Raises ZooError if a single video is too short for both splits."""
    if len(footage) == 1:
        return [_split_in_time(footage[0], split, share, frames)]
    chosen = choose_held_out([each.video.name for each in footage], share)
    return [Segment(each, 0, each.video.length) for each in footage if (each.video.name in chosen) == (split == "val")]


def choose_held_out(names: list[str], share: float) -> set[str]:
    """Choose names for validation by checksum, so that one more video moves few others between the splits."""
    count = min(max(1, round(share * len(names))), len(names) - 1)
    return set(sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:count])


def _split_in_time(footage: Footage, split: Split, share: float, frames: int) -> Segment:
    """Split one video in time; its last part is for validation.

    The boundary lies between two stored frames, so a frame that is repeated to reach a higher rate is on one side only.
    """
    length = footage.video.length
    wanted = min(length - frames, round(length * (1 - share)))
    boundary = int((footage.stored < footage.stored[max(wanted, 0)]).sum())
    if boundary < frames:
        raise ZooError(
            f"{footage.video.path} is the only usable video, and its {length} frames at data.fps={footage.fps:g} are "
            f"too few for a training clip and a validation clip of data.frames={frames}. Add a video, or type "
            f"data.frames={max(1, length // 3)}."
        )
    return Segment(footage, 0, boundary) if split == "train" else Segment(footage, boundary, length)
