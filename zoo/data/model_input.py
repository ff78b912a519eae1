"""Read the footage or the maps that a user gives to a trained model, frame by frame in constant memory.

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

from zoo.data.base import grey_clip
from zoo.data.decode import frame_times, read_ids, read_image
from zoo.data.sequences.files import VIDEO_SUFFIXES, files_in
from zoo.data.sequences.frame_names import frames_in
from zoo.data.sequences.pairing import pair_files
from zoo.data.sets.folder.footage import nearest_frames, stored_frames
from zoo.data.sets.pose.model_input import read_pose_conditions
from zoo.data.sets.pose.names import CONDITION_SOURCES
from zoo.data.transforms import DRAWN_CHANNELS, cover, drawing, to_signed
from zoo.errors import ZooError
from zoo.types import Clip, ClipSpec

TIME_TOLERANCE = 1e-3
"""In seconds: the last frame may be this much early, since Matroska and WebM store times in whole milliseconds."""

Fields = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class FrameSource:
    """Number of frames, and a function that yields the fields of each, without batch and time axes."""

    count: int
    frames: Callable[[], Iterator[Fields]]


def count_input_frames(path: Path, spec: ClipSpec, source: str | None) -> int:
    """Number of frames that ``read_model_input`` yields."""
    return _open_source(path, spec, source, None, 0).count


def read_model_input(
    path: Path, spec: ClipSpec, source: str | None, instances: Path | None = None, start: int = 0
) -> Iterator[Clip]:
    """Yield the pieces of one given video: a batch of one clip of one frame each, in grey if the spec is.

    source: `labels` reads label maps; any other string reads ``spec.condition_kind``; None reads the frames alone, for
    a model that translates nothing.

    Edges and distance are computed from footage, a video file or a folder of frames. Drawings are a folder of images;
    labels are a folder of PNGs with class ids; ``instances`` is a folder of PNGs with instance ids. A pose is a folder
    that contains `openpose/*.json` or `densepose/*.png` as the kind requires, or the files themselves.

    start: first frame of footage to yield; those before it are not decoded.

    Raises ZooError for unusable input, at the call if the problem is the path or the first file.
    """
    given = _open_source(path, spec, source, instances, start)
    frames = given.frames()
    first = next(frames)  # raises at once if the first file is unusable
    return (_make_piece(path, number, spec, fields) for number, fields in enumerate(chain([first], frames)))


def _open_source(path: Path, spec: ClipSpec, source: str | None, instances: Path | None, start: int) -> FrameSource:
    if not path.exists():
        raise ZooError(f"given={path}: there is no such file. Type the path of a video or of a folder of frames.")
    if source is None:
        return _open_footage(path, spec, "none", start)
    if source == "labels":
        return _open_labels(path, spec, instances)
    kind = spec.condition_kind
    if instances is not None:
        raise ZooError(
            f"instances={instances} needs label maps, but this model translates `{kind}`. Leave instances= out."
        )
    if kind in DRAWN_CHANNELS:
        return _open_footage(path, spec, kind, start)
    if kind == "drawings":
        return _open_drawings(path, spec)
    if kind in CONDITION_SOURCES:
        count, frames = read_pose_conditions(path, spec)
        return FrameSource(count, frames)
    raise ZooError(
        f"This model translates the condition `{kind}`, which can neither be computed from footage nor read from "
        "files. Leave given= out to translate clips of its data set."
    )


def _open_labels(folder: Path, spec: ClipSpec, instances: Path | None) -> FrameSource:
    maps = _list_images(folder, "This model translates label maps", "one PNG of class ids per frame")
    instance_maps = []
    if instances is not None:
        instance_maps = _list_images(instances, "instances= takes instance maps", "one PNG of instance ids per frame")
        instance_maps = list(pair_files({"labels": maps, "instances": instance_maps}, "labels")["instances"])

    def frames() -> Iterator[Fields]:
        for number, path in enumerate(maps):
            stored = read_ids(path)
            if stored.min() < 0 or stored.max() >= len(spec.label_names):
                raise ZooError(
                    f"{path} has the label {stored.max()}; this model knows 0 to {len(spec.label_names) - 1}. Map "
                    "other ids to these."
                )
            fields = {"labels": cover(stored, spec.height, spec.width, ids=True)}
            if instance_maps:
                ids = read_ids(instance_maps[number])
                if ids.shape != stored.shape:
                    sizes = [f"{shape[1]}x{shape[0]}" for shape in (ids.shape, stored.shape)]
                    raise ZooError(
                        f"{instance_maps[number]} is {sizes[0]} pixels, but its label map {path} is {sizes[1]}. Scale "
                        "it to that size, by nearest neighbour."
                    )
                fields["instances"] = cover(ids, spec.height, spec.width, ids=True)
            yield fields

    return FrameSource(len(maps), frames)


def _open_drawings(folder: Path, spec: ClipSpec) -> FrameSource:
    pictures = _list_images(folder, "This model translates drawings", "one image per frame")

    def frames() -> Iterator[Fields]:
        for path in pictures:
            yield {"condition": to_signed(cover(read_image(path), spec.height, spec.width)[None])[0]}

    return FrameSource(len(pictures), frames)


def _open_footage(path: Path, spec: ClipSpec, kind: str, start: int) -> FrameSource:
    if path.is_dir() and not files_in(path):
        raise ZooError(
            f"given={path} contains no frames. Type a video ({', '.join(VIDEO_SUFFIXES)}) or a folder of frames."
        )
    wanted = _resample(path, spec.fps)[start:]

    def frames() -> Iterator[Fields]:
        for frame in stored_frames(path, wanted):
            resized = cover(frame, spec.height, spec.width)
            drawn = {} if kind == "none" else {"condition": drawing(resized, kind)}
            yield {"video": to_signed(resized[None])[0], **drawn}

    return FrameSource(len(wanted), frames)


def _list_images(folder: Path, reason: str, expected: str) -> list[Path]:
    if folder.is_dir():
        pictures = files_in(folder)
        if pictures:
            return pictures
    raise ZooError(f"{reason}, so {folder} must be a folder with {expected}.")


def _resample(path: Path, fps: float) -> NDArray[np.int64]:
    """Numbers of the stored frames to show: all frames of a folder; of a video those nearest to the ticks of the frame
    rate, or all if that is 0."""
    if path.is_dir():
        return np.arange(len(frames_in(path).files))
    times = frame_times(path)
    if not fps:
        return np.arange(len(times))
    return nearest_frames(times, fps, length=int((times[-1] + TIME_TOLERANCE) * fps) + 1)


def _make_piece(path: Path, number: int, spec: ClipSpec, fields: Fields) -> Clip:
    tensors: dict[str, Tensor] = {name: torch.from_numpy(value)[None, None] for name, value in fields.items()}
    piece = cast(Clip, {"fps": torch.tensor([spec.fps]), "key": [f"given/{path.name}/{number}"], **tensors})
    return grey_clip(piece) if spec.channels == 1 else piece
