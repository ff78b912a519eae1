"""Footage or maps that a user gives to a trained model, one frame at a time, at constant memory.

Shapes: H x W pixels; every piece is a batch of one clip of one frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.data.decode import VIDEO_SUFFIXES, frame_times, read_ids
from zoo.data.sets.folder.find import images_in
from zoo.data.sets.folder.footage import nearest_frames, stored_frames
from zoo.data.transforms import cover, edges, to_signed
from zoo.errors import ZooError
from zoo.types import Clip, ClipSpec

MOMENT = 1e-6  # of a frame; the last one may be that much late


def count_given(path: Path, spec: ClipSpec, source: str) -> int:
    """How many frames ``read_given`` will yield."""
    _check(path, spec, source)
    return len(_resampled(path, spec.fps))


def read_given(path: Path, spec: ClipSpec, source: str) -> Iterator[Clip]:
    """The pieces of one given video: footage whose edges are drawn, or a folder with a PNG of label ids a frame.

    Raises a ZooError at once, and not in mid-video, for what cannot be given.
    """
    _check(path, spec, source)
    return _label_pieces(path, spec) if source == "labels" else _footage_pieces(path, spec)


def _check(path: Path, spec: ClipSpec, source: str) -> None:
    if not path.exists():
        raise ZooError(f"given={path} is not there. A video or a folder of frames is expected.")
    if source == "labels":
        if not path.is_dir() or not images_in(path):
            raise ZooError(f"This model paints label maps: given={path} must be a folder with a PNG of ids a frame.")
    elif spec.condition_channels != 1:
        raise ZooError("This model does not paint edges; edges are all that can be drawn from footage.")
    if path.is_dir() and not images_in(path):
        raise ZooError(f"given={path} holds no frames. A video ({', '.join(VIDEO_SUFFIXES)}) or frames are expected.")


def _label_pieces(folder: Path, spec: ClipSpec) -> Iterator[Clip]:
    for number, image in enumerate(images_in(folder)):
        ids = cover(read_ids(image), spec.height, spec.width, ids=True)
        if ids.min() < 0 or ids.max() >= len(spec.label_names):
            raise ZooError(f"{image} has the label {ids.max()}; this model knows 0 to {len(spec.label_names) - 1}.")
        labels = {"labels": torch.from_numpy(ids)[None, None]}
        yield cast(Clip, _piece(folder, number, spec) | labels)


def _footage_pieces(path: Path, spec: ClipSpec) -> Iterator[Clip]:
    for number, frame in enumerate(stored_frames(path, _resampled(path, spec.fps))):
        resized = cover(frame, spec.height, spec.width)
        footage = {
            "video": torch.from_numpy(to_signed(resized[None]))[None],
            "condition": torch.from_numpy(edges(resized))[None, None, None],
        }
        yield cast(Clip, _piece(path, number, spec) | footage)


def _resampled(path: Path, fps: float) -> NDArray[np.int64]:
    """The stored frames to show: of a folder all, of a video those nearest to the ticks of the frame rate."""
    if path.is_dir():
        return np.arange(len(images_in(path)))
    times = frame_times(path)
    return nearest_frames(times, fps, length=int(times[-1] * fps + MOMENT) + 1)


def _piece(path: Path, number: int, spec: ClipSpec) -> dict[str, object]:
    return {"fps": torch.tensor([spec.fps]), "key": [f"given/{path.name}/{number}"]}
