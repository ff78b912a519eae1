"""Which axis of an array is which: as typed, or found from the shape. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.sets.arrays.names import AXES, CHANNEL_COUNTS, LEAST_SIDE
from zoo.errors import ZooError

VIDEO_AXES = {2: "HW", 3: "THW", 4: "NTHW"}
"""Axes of an array with this many axes beside the channels."""
CHECKED_PLACES = 4
"""Number of places at which the order of videos and frames is checked."""


@dataclass(frozen=True)
class Axes:
    """The axes of an array. order: letters of AXES, one per axis. shape: length of each axis."""

    order: str
    shape: tuple[int, ...]

    def size(self, letter: str) -> int:
        """Length of an axis; 1 if there is none of this letter."""
        return self.shape[self.order.index(letter)] if letter in self.order else 1


def parse_axes(setting: str, shape: tuple[int, ...], name: str) -> Axes:
    """Check axes that the user typed against the shape of an array. Raises ZooError if they do not fit it."""
    order = setting.upper()
    if not set(order) <= set(AXES) or len(set(order)) < len(order) or not {"H", "W"} <= set(order):
        raise ZooError(
            f"data.axes={setting} must have H and W, and each of the letters {AXES} at most once: N videos, T frames, "
            "H height, W width, C channels. Try: data.axes=NTHWC"
        )
    if len(order) != len(shape):
        raise ZooError(f"data.axes={setting} has {len(order)} axes, but {name} has {len(shape)}: its shape is {shape}.")
    axes = Axes(order, shape)
    if axes.size("C") not in CHANNEL_COUNTS:
        raise ZooError(
            f"{name} of shape {shape} would have {axes.size('C')} channels by data.axes={setting}; a video has 1 "
            "(grey) or 3 (RGB)."
        )
    if min(axes.size("H"), axes.size("W")) < LEAST_SIDE:
        raise ZooError(
            f"The frames of {name}, of shape {shape}, would be {axes.size('W')}x{axes.size('H')} pixels (width x "
            f"height) by data.axes={setting}; at least {LEAST_SIDE} a side are needed."
        )
    return axes


def can_be_frames(shape: tuple[int, ...], setting: str | None) -> bool:
    """Whether an array of this shape may contain frames, by the axes that the user typed if there are any."""
    if setting:
        return len(shape) == len(setting)
    rest = [size for place, size in enumerate(shape) if place not in _channel_places(shape)[:1]]
    return len(rest) in VIDEO_AXES and min(shape) > 0 and min(rest[-2:]) >= LEAST_SIDE


def find_axes(shape: tuple[int, ...], name: str) -> Axes:
    """Find the axes of an array from its shape.

    An axis of length 1 or 3 that stands last, before height and width, or before the frames is the channels. The others
    are height and width; frames, height and width; or videos, frames, height and width. Raises ZooError if several axes
    may be the channels, or if the array cannot be frames.
    """
    places = _channel_places(shape)
    if len(places) > 1 or not can_be_frames(shape, None):
        reason = f"{len(places)} axes of it may be the channels" if len(places) > 1 else "its axes are not clear"
        raise ZooError(
            f"{name} has the shape {shape}, and {reason}. Type what they are, with the letters {AXES} (videos, frames, "
            "height, width, channels), such as data.axes=NTHWC"
        )
    letters = iter(VIDEO_AXES[len(shape) - len(places)])
    return Axes("".join("C" if place in places else next(letters) for place in range(len(shape))), shape)


def _channel_places(shape: tuple[int, ...]) -> list[int]:
    """The axes that may be the channels: without them, the last two axes are the sides of a frame."""
    last = len(shape) - 1
    places = [place for place in (last, last - 2, last - 3) if place >= 0 and shape[place] in CHANNEL_COUNTS]
    return [place for place in places if min((*shape[:place], *shape[place + 1 :])[-2:], default=0) >= LEAST_SIDE]


def take_frames(array: Any, axes: Axes, video: int, frames: slice) -> np.ndarray[Any, Any]:
    """Read frames of one video of an array, (T, H, W, C), in the array's own numbers."""
    chosen = {"N": slice(video, video + 1), "T": frames}
    part = np.asarray(array[tuple(chosen.get(letter, slice(None)) for letter in axes.order)])
    missing = [letter for letter in AXES if letter not in axes.order]
    part = part.reshape(*part.shape, *(1 for _ in missing))
    letters = axes.order + "".join(missing)
    return part.transpose([letters.index(letter) for letter in AXES])[0]


def check_order(array: Any, axes: Axes, name: str) -> None:
    """Raise ZooError if neighbours along the axis of videos are more alike than neighbours along that of frames: then
    the two are probably the other way round."""
    videos, frames = axes.size("N"), axes.size("T")
    if videos < 2 or frames < 2:
        return
    along_videos = along_frames = 0.0
    for place in range(CHECKED_PLACES):
        video, frame = (videos - 2) * place // CHECKED_PLACES, (frames - 2) * place // CHECKED_PLACES
        here, later = take_frames(array, axes, video, slice(frame, frame + 2)).astype(np.float64)
        beside = take_frames(array, axes, video + 1, slice(frame, frame + 1))[0]
        along_frames += float(np.abs(later - here).mean())
        along_videos += float(np.abs(beside - here).mean())
    if along_videos < 0.5 * along_frames:
        other = axes.order.translate(str.maketrans("NT", "TN"))
        raise ZooError(
            f"{name} of shape {axes.shape} would be {videos} videos of {frames} frames, but its neighbours along the "
            f"first of the two axes are more alike than those along the second. Type data.axes={other} if these are "
            f"{frames} videos of {videos} frames, else data.axes={axes.order}"
        )
