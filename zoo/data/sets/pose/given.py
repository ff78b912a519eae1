"""A given pose: OpenPose's JSON, DensePose's pictures, or both, from the folders that a user names. Imports no torch.

Shapes: H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import read_image
from zoo.data.sequences.files import files_in
from zoo.data.sets.pose.densepose import densepose_condition, read_iuv
from zoo.data.sets.pose.names import KINDS
from zoo.data.sets.pose.openpose import draw_people, placed, read_people
from zoo.data.transforms import cover
from zoo.errors import ZooError
from zoo.types import ClipSpec

SUFFIXES = {"openpose": (".json",), "densepose": (".png",)}
FRAMES = "img"
"""A folder of frames beside the keypoints, which tells the size that these are in."""


def pose_frames(path: Path, spec: ClipSpec) -> tuple[int, Callable[[], Iterator[Mapping[str, NDArray[np.float32]]]]]:
    """The number of frames, and a way to make the condition of each, (C, H, W), as the spec has it.

    Raises ZooError if files are missing, do not match in number, or are of a size that cannot be known.
    """
    files = {kind: _files(path, kind, spec) for kind in KINDS[spec.condition_kind]}
    counts = {kind: len(found) for kind, found in files.items()}
    if len(set(counts.values())) > 1:
        found = " and ".join(f"{count} of {kind}" for kind, count in counts.items())
        raise ZooError(f"given={path} holds {found}. They are paired by the order of their numbers: make it one each.")
    size = _stored_size(path, files, spec)

    def frames() -> Iterator[Mapping[str, NDArray[np.float32]]]:
        for paths in zip(*files.values(), strict=True):
            parts = [_part(kind, each, size, spec) for kind, each in zip(files, paths, strict=True)]
            yield {"condition": np.concatenate(parts)}

    return len(next(iter(files.values()))), frames


def _files(path: Path, kind: str, spec: ClipSpec) -> list[Path]:
    folder = path / kind if (path / kind).is_dir() else path
    found = files_in(folder, SUFFIXES[kind]) if folder.is_dir() else []
    if not found:
        needed = " and ".join(f"{kind}/*{SUFFIXES[kind][0]}" for kind in KINDS[spec.condition_kind])
        raise ZooError(f"This model paints poses: given={path} must be a folder with {needed}. There is no {kind}.")
    return found


def _stored_size(path: Path, files: Mapping[str, list[Path]], spec: ClipSpec) -> tuple[int, int]:
    """Height and width of the frames that the pose is of: of DensePose's pictures, or of frames, or the clip's own."""
    beside = files_in(path / FRAMES) if (path / FRAMES).is_dir() else []
    pictures = [*files.get("densepose", ()), *beside]
    if pictures:
        height, width, _ = read_image(pictures[0]).shape
        return height, width
    for file in files["openpose"]:
        reach = read_people(file)[..., :2].max(axis=(0, 1), initial=0)
        if reach[0] > spec.width or reach[1] > spec.height:
            raise ZooError(
                f"{file} has a keypoint at x={reach[0]:g}, y={reach[1]:g}; the model's frames are "
                f"{spec.width}x{spec.height}, so these are keypoints of frames of another size. Put one such frame in "
                f"{path / FRAMES}, to tell which."
            )
    return spec.height, spec.width


def _part(kind: str, path: Path, size: tuple[int, int], spec: ClipSpec) -> NDArray[np.float32]:
    """(3, H, W) of one frame."""
    if kind == "openpose":
        return draw_people(placed(read_people(path), size, spec.height, spec.width), spec.height, spec.width)
    iuv = read_iuv(path)
    if iuv.shape[:2] != size:
        raise ZooError(f"{path} is {iuv.shape[1]}x{iuv.shape[0]} pixels; the first one is {size[1]}x{size[0]}.")
    (condition,) = densepose_condition(cover(iuv, spec.height, spec.width, ids=True)[None])
    return np.asarray(condition)
