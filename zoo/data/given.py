"""Footage or maps that a user gives to a trained model, one frame at a time, at constant memory.

Shapes: H x W pixels; every piece is a batch of one clip of one frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.decode import frame_times, read_ids, read_image
from zoo.data.sequences.files import VIDEO_SUFFIXES, files_in
from zoo.data.sets.folder.footage import nearest_frames, stored_frames
from zoo.data.sets.pose.given import pose_frames
from zoo.data.sets.pose.names import KINDS
from zoo.data.transforms import DRAWN_CHANNELS, cover, drawing, to_signed
from zoo.errors import ZooError
from zoo.types import Clip, ClipSpec

MOMENT = 1e-6  # of a frame; the last one may be that much late

Fields = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Given:
    """What is given: the number of frames, and a way to make the fields of each, without axes of clip and time."""

    count: int
    frames: Callable[[], Iterator[Fields]]


def count_given(path: Path, spec: ClipSpec, source: str | None) -> int:
    """How many frames ``read_given`` will yield."""
    return _open(path, spec, source, None).count


def read_given(path: Path, spec: ClipSpec, source: str | None, instances: Path | None = None) -> Iterator[Clip]:
    """The pieces of one given video: of what ``spec.condition_kind`` says, or labels if that is the ``source``; of the
    frames alone, for a model that translates nothing, if it is None.

    Edges and distance are drawn from footage, a file or a folder of frames. Drawings are a folder of pictures, labels
    one of PNGs of ids, and ``instances`` such a one beside the labels. A pose is a folder that holds `openpose/*.json`
    or `densepose/*.png` as the kind needs, or the files themselves. Raises a ZooError at once, and not in mid-video,
    for what cannot be given.
    """
    given = _open(path, spec, source, instances)
    frames = given.frames()
    first = next(frames)  # a first file that cannot be used is an error now
    return (_piece(path, number, spec, fields) for number, fields in enumerate(chain([first], frames)))


def _open(path: Path, spec: ClipSpec, source: str | None, instances: Path | None) -> Given:
    if not path.exists():
        raise ZooError(f"given={path} is not there. A video or a folder of frames is expected.")
    if source is None:
        return _footage(path, spec, "none")
    if source == "labels":
        return _labels(path, spec, instances)
    kind = spec.condition_kind
    if instances is not None:
        raise ZooError(f"instances={instances} belong to label maps; this model paints `{kind}`. Leave them out.")
    if kind in DRAWN_CHANNELS:
        return _footage(path, spec, kind)
    if kind == "drawings":
        return _drawings(path, spec)
    if kind in KINDS:
        count, frames = pose_frames(path, spec)
        return Given(count, frames)
    raise ZooError(
        f"This model paints a condition of the kind `{kind}`, which can neither be drawn from footage nor read from "
        "files. Leave given= out, and clips of its data set are painted."
    )


def _labels(folder: Path, spec: ClipSpec, instances: Path | None) -> Given:
    maps = _pictures(folder, "This model paints label maps", "a PNG of ids a frame")
    beside = [] if instances is None else _pictures(instances, "Instances go with label maps", "a PNG of ids a frame")
    if instances is not None and len(beside) != len(maps):
        raise ZooError(
            f"given={folder} has {len(maps)} label maps; instances={instances} has {len(beside)}. They are paired by "
            "the order of their numbers: make it one for each."
        )

    def frames() -> Iterator[Fields]:
        for number, path in enumerate(maps):
            stored = read_ids(path)
            if stored.min() < 0 or stored.max() >= len(spec.label_names):
                raise ZooError(
                    f"{path} has the label {stored.max()}; this model knows 0 to {len(spec.label_names) - 1}."
                )
            fields = {"labels": cover(stored, spec.height, spec.width, ids=True)}
            if beside:
                ids = read_ids(beside[number])
                if ids.shape != stored.shape:
                    sizes = [f"{shape[1]}x{shape[0]}" for shape in (ids.shape, stored.shape)]
                    raise ZooError(f"{beside[number]} is {sizes[0]} pixels; its label map {path} is {sizes[1]}.")
                fields["instances"] = cover(ids, spec.height, spec.width, ids=True)
            yield fields

    return Given(len(maps), frames)


def _drawings(folder: Path, spec: ClipSpec) -> Given:
    pictures = _pictures(folder, "This model paints drawings", "a picture a frame")

    def frames() -> Iterator[Fields]:
        for path in pictures:
            yield {"condition": to_signed(cover(read_image(path), spec.height, spec.width)[None])[0]}

    return Given(len(pictures), frames)


def _footage(path: Path, spec: ClipSpec, kind: str) -> Given:
    if path.is_dir() and not files_in(path):
        raise ZooError(f"given={path} holds no frames. A video ({', '.join(VIDEO_SUFFIXES)}) or frames are expected.")
    wanted = _resampled(path, spec.fps)

    def frames() -> Iterator[Fields]:
        for frame in stored_frames(path, wanted):
            resized = cover(frame, spec.height, spec.width)
            drawn = {} if kind == "none" else {"condition": drawing(resized, kind)}
            yield {"video": to_signed(resized[None])[0], **drawn}

    return Given(len(wanted), frames)


def _pictures(folder: Path, what: str, expected: str) -> list[Path]:
    if folder.is_dir():
        pictures = files_in(folder)
        if pictures:
            return pictures
    raise ZooError(f"{what}: {folder} must be a folder with {expected}.")


def _resampled(path: Path, fps: float) -> NDArray[np.int64]:
    """The stored frames to show: of a folder all, of a video those nearest to the ticks of the frame rate."""
    if path.is_dir():
        return np.arange(len(files_in(path)))
    times = frame_times(path)
    return nearest_frames(times, fps, length=int(times[-1] * fps + MOMENT) + 1)


def _piece(path: Path, number: int, spec: ClipSpec, fields: Fields) -> Clip:
    tensors: dict[str, Tensor] = {name: torch.from_numpy(value)[None, None] for name, value in fields.items()}
    return cast(Clip, {"fps": torch.tensor([spec.fps]), "key": [f"given/{path.name}/{number}"], **tensors})
