"""DensePose's images: for each pixel, a part of the body's surface and the position on it.

Source: Güler et al., DensePose: Dense Human Pose Estimation in the Wild, CVPR 2018. Shapes: T frames, H x W pixels. I
is the part, 0 to 24; U and V are the position on it, 0 to 255.
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
    """Read I, U and V of one image, (h, w, 3).

    I is in red, or in blue as DensePose's own tools store it, whose array OpenCV writes as blue, green, red. The
    channel whose values are all parts is I; raises ZooError if there is none.
    """
    picture = read_image(path)
    red, blue = int(picture[..., 0].max()), int(picture[..., 2].max())
    if min(red, blue) > LAST_PART:
        raise ZooError(
            f"{path} is not an image of DensePose: red or blue must contain the part, 0 to {LAST_PART}, but red "
            f"reaches {red} and blue {blue}. Save I, U, V unchanged as PNG, without scaling and without a colour map."
        )
    return picture if red <= LAST_PART else np.ascontiguousarray(picture[..., ::-1])


def densepose_condition(iuv: NDArray[np.uint8], dropped: Collection[int] = ()) -> NDArray[np.float32]:
    """Convert (T, H, W, 3) to (T, 3, H, W) in [-1, 1]: I scaled to the whole range, U, V; the background is -1.

    dropped: parts that are shown as background.
    """
    shown = np.where(np.isin(iuv[..., :1], list(dropped)), 0, iuv).astype(np.float32)
    unit = shown / np.array([LAST_PART, 255, 255], np.float32)
    return np.ascontiguousarray((unit * 2 - 1).transpose(0, 3, 1, 2))
