"""MoCoGAN's published strips: found by folder, split by name, and described exactly. Imports no torch.

A strip shows one flat shape on black, so its attributes and positions are read off its pixels; a strip that these do
not reproduce to the pixel is refused.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import read_image
from zoo.data.sequences.files import files_in
from zoo.data.sets.shapes.names import CANVAS, FOLDERS, LAYOUT, PATH_FRAMES, SHAPES, SIZES
from zoo.data.sets.shapes.render import Rendering, Scene, draw_mask
from zoo.errors import ZooError, joined
from zoo.types import Split

BUCKETS = 10
HELD_OUT: dict[int, Split] = {0: "test", 1: "val"}
"""Bucket of the hash of a strip's name -> its split; all other buckets are for training."""


def find_strips(root: str, split: Split) -> list[Path]:
    """Strips of a split, up before left, sorted by number. Raises ZooError if a motion has none."""
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise ZooError(f"data.root={root}: there is no such folder. Expected: {LAYOUT}.")
    found = {name: files_in(folder / name, (".png",)) for name in FOLDERS if (folder / name).is_dir()}
    motions = {FOLDERS[name] for name, paths in found.items() if paths}
    if motions != set(FOLDERS.values()):
        there = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
        raise ZooError(
            f"data.root={root} contains no strips of {'one motion' if motions else 'either motion'}. Expected: "
            f"{LAYOUT}. Found there: {joined(there[:8]) or 'nothing'}."
        )
    paths = [path for name in FOLDERS for path in found.get(name, [])]
    chosen = [path for path in paths if split_of(path.stem) == split]
    if not chosen:
        raise ZooError(f"data.root={root}: none of its {len(paths)} strips is for `{split}`. Add strips.")
    return chosen


def split_of(name: str) -> Split:
    """Split of a strip, by the hash of its name without folder and suffix: eight in ten are for training."""
    return HELD_OUT.get(sha256(name.encode()).digest()[0] % BUCKETS, "train")


@lru_cache(maxsize=16384)
def read_scene(path: Path) -> Scene:
    """Describe what a strip shows. Raises ZooError for an image that is no strip of a moving shape."""
    pixels = read_image(path)
    if pixels.shape != (CANVAS, CANVAS * PATH_FRAMES, 3):
        height, width, _ = pixels.shape
        raise ZooError(
            f"{path} is {width}x{height} pixels (width x height), but a published strip of shapes is "
            f"{CANVAS * PATH_FRAMES}x{CANVAS}. For other strips, type data=strips."
        )
    video = pixels.reshape(CANVAS, PATH_FRAMES, CANVAS, 3).swapaxes(0, 1)
    scene = _describe(video, FOLDERS[path.parent.name])
    if scene is None or not np.array_equal(Rendering(scene, range(PATH_FRAMES), CANVAS, CANVAS).video, video):
        raise ZooError(
            f"{path} does not show a single square or disc of one colour on black, as the published strips do. For "
            "other strips, type data=strips."
        )
    return scene


def _describe(video: NDArray[np.uint8], motion: int) -> Scene | None:
    """The scene whose boxes, shape and colour the frames show, (T, H, W, 3); None if a frame has no box of such a
    size."""
    shown: NDArray[np.bool_] = np.asarray(video.any(-1))
    rows, columns = np.asarray(shown.any(2)), np.asarray(shown.any(1))
    if not rows.any(1).all():
        return None
    path = np.stack([rows.argmax(1), columns.argmax(1)], 1)
    side = int(rows[0].sum())
    if side not in SIZES:
        return None
    row, column = path[0]
    seen = shown[0, row : row + side, column : column + side]
    colour = video[0][shown[0]][0]
    matching = [shape for shape in range(len(SHAPES)) if np.array_equal(draw_mask(shape, side), seen)]
    return Scene(motion, matching[0], SIZES.index(side), colour, path, side) if matching else None
