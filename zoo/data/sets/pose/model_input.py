"""Read a pose that a user gives: OpenPose's JSON, DensePose's images, or both. Imports no torch.

Shapes: H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import read_image
from zoo.data.sequences.files import files_in
from zoo.data.sequences.pairing import pair_files
from zoo.data.sets.pose.densepose import densepose_condition, read_iuv
from zoo.data.sets.pose.names import CONDITION_SOURCES
from zoo.data.sets.pose.openpose import draw_people, place_keypoints, read_people
from zoo.data.transforms import cover
from zoo.errors import ZooError
from zoo.types import ClipSpec

SUFFIXES = {"openpose": (".json",), "densepose": (".png",)}
FRAMES = "img"
"""Folder of frames beside the keypoints, from which the size of the frames is read."""


def read_pose_conditions(
    path: Path, spec: ClipSpec
) -> tuple[int, Callable[[], Iterator[Mapping[str, NDArray[np.float32]]]]]:
    """Return the number of frames, and a function that yields the condition of each, (C, H, W), as in the spec.

    Raises ZooError if files are missing, do not match in number, or if the size of their frames is unknown.
    """
    files = {kind: _find_files(path, kind, spec) for kind in CONDITION_SOURCES[spec.condition_kind]}
    files = {kind: list(found) for kind, found in pair_files(files, next(iter(files))).items()}
    size = _find_stored_size(path, files, spec)

    def frames() -> Iterator[Mapping[str, NDArray[np.float32]]]:
        for paths in zip(*files.values(), strict=True):
            parts = [_make_condition(kind, each, size, spec) for kind, each in zip(files, paths, strict=True)]
            yield {"condition": np.concatenate(parts)}

    return len(next(iter(files.values()))), frames


def _find_files(path: Path, kind: str, spec: ClipSpec) -> list[Path]:
    folder = path / kind if (path / kind).is_dir() else path
    found = files_in(folder, SUFFIXES[kind]) if folder.is_dir() else []
    if not found:
        needed = " and ".join(f"{kind}/*{SUFFIXES[kind][0]}" for kind in CONDITION_SOURCES[spec.condition_kind])
        raise ZooError(
            f"This model translates poses, so given={path} must be a folder with {needed}. There is no {kind}."
        )
    return found


def _find_stored_size(path: Path, files: Mapping[str, list[Path]], spec: ClipSpec) -> tuple[int, int]:
    """Height and width of the frames of the pose: of DensePose's images, of frames beside them, or of the clip."""
    beside = files_in(path / FRAMES) if (path / FRAMES).is_dir() else []
    pictures = [*files.get("densepose", ()), *beside]
    if pictures:
        height, width, _ = read_image(pictures[0]).shape
        return height, width
    for file in files["openpose"]:
        farthest = read_people(file)[..., :2].max(axis=(0, 1), initial=0)
        if farthest[0] > spec.width or farthest[1] > spec.height:
            raise ZooError(
                f"{file} has a keypoint at x={farthest[0]:g}, y={farthest[1]:g}, but the model's frames are "
                f"{spec.width}x{spec.height}, so the keypoints are of frames of another size. Put one of these frames "
                f"in {path / FRAMES}."
            )
    return spec.height, spec.width


def _make_condition(kind: str, path: Path, size: tuple[int, int], spec: ClipSpec) -> NDArray[np.float32]:
    """Make the condition of one frame from one kind of file, (3, H, W)."""
    if kind == "openpose":
        return draw_people(place_keypoints(read_people(path), size, spec.height, spec.width), spec.height, spec.width)
    iuv = read_iuv(path)
    if iuv.shape[:2] != size:
        raise ZooError(f"{path} is {iuv.shape[1]}x{iuv.shape[0]} pixels, but the first one is {size[1]}x{size[0]}.")
    (condition,) = densepose_condition(cover(iuv, spec.height, spec.width, ids=True)[None])
    return np.asarray(condition)
