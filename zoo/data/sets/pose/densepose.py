"""DensePose's pictures: for each pixel a part of the body's surface and where on it.

Source: Güler et al., DensePose: Dense Human Pose Estimation in the Wild, CVPR 2018.
Shapes: T frames, H x W pixels. I is the part, 0 to 24, U and V the place on it, 0 to 255.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import read_image
from zoo.errors import ZooError

LAST_PART = 24


def read_iuv(path: Path) -> NDArray[np.uint8]:
    """I, U, V of one picture, (h, w, 3).

    I is in red, or in blue as DensePose's own tools leave it, whose array OpenCV writes as blue, green, red: it is
    whichever stays within the parts. Raises ZooError if neither does.
    """
    picture = read_image(path)
    red, blue = int(picture[..., 0].max()), int(picture[..., 2].max())
    if min(red, blue) > LAST_PART:
        raise ZooError(
            f"{path} is no picture of DensePose: one of its channels holds the part, 0 to {LAST_PART}, but red reaches "
            f"{red} and blue {blue}. Save I, U, V as they are, as PNG, without scaling and without a colour map."
        )
    return picture if red <= LAST_PART else np.ascontiguousarray(picture[..., ::-1])


def densepose_condition(iuv: NDArray[np.uint8], left_out: Collection[int] = ()) -> NDArray[np.float32]:
    """(T, H, W, 3) to (T, 3, H, W) in [-1, 1]: I spread over the whole range, U, V; background is -1.

    left_out: parts that are shown as background.
    """
    shown = np.where(np.isin(iuv[..., :1], list(left_out)), 0, iuv).astype(np.float32)
    unit = shown / np.array([LAST_PART, 255, 255], np.float32)
    return np.ascontiguousarray((unit * 2 - 1).transpose(0, 3, 1, 2))
