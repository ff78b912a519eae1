"""Convert stored frames to the tensors of a clip and back: size, range, edges. Arrays only; imports no torch.

Shapes: T frames, H x W pixels.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = TypeVar("Pixels", bound=np.generic)

EDGE_SHARE = 0.2
"""Share of the pixels whose gradient may start an edge; chosen by eye on footage of 64 to 256 pixels."""
WEAK_TO_STRONG = 0.4
"""Ratio of the low to the high threshold of Canny, who recommends 1/3 to 1/2."""
FAINTEST_EDGE = 40.0
"""Lower bound of the high threshold, in Sobel units: a step of 10 grey levels. Noise stays below it."""

DRAWN_CHANNELS = {"edges": 1, "distance": 2}
"""Conditions that are computed from a frame alone, with their number of channels: edges, or edges and distance."""
DISTANCE_GAIN = 3
"""Distance levels (of 255) per pixel, so the map saturates 85 pixels away from an edge."""


def cover(image: NDArray[Pixels], height: int, width: int, ids: bool = False) -> NDArray[Pixels]:
    """Scale an image to cover height x width: crop the largest centred window of that aspect ratio, then resize it.

    image: (H, W) or (H, W, 3). Area averaging shrinks, cubic interpolation enlarges. ids: the pixels are ids, so the
    nearest one is taken.
    """
    rows, columns = image.shape[:2]
    top, left, window_rows, window_columns = _window(rows, columns, height, width)
    window = image[top : top + window_rows, left : left + window_columns]
    if (window_rows, window_columns) == (height, width):
        return np.ascontiguousarray(window)
    shrinks = window_rows > height or window_columns > width
    how = cv2.INTER_NEAREST_EXACT if ids else cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    resized: Any = cv2.resize(np.ascontiguousarray(window), (width, height), interpolation=how)
    return resized


def cover_points(points: NDArray[np.float32], rows: int, columns: int, height: int, width: int) -> NDArray[np.float32]:
    """Map points (..., 2), x and y in pixels of a rows x columns image, to where ``cover`` moves them.

    Integers are the centres of pixels.
    """
    top, left, window_rows, window_columns = _window(rows, columns, height, width)
    scale = np.array([width / window_columns, height / window_rows], np.float32)
    corner = np.array([left, top], np.float32)
    return np.asarray((points - corner + 0.5) * scale - 0.5, np.float32)


def _window(rows: int, columns: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the largest centred window with the aspect ratio of height x width."""
    scale = min(rows / height, columns / width)
    window_rows, window_columns = max(1, round(height * scale)), max(1, round(width * scale))
    return (rows - window_rows) // 2, (columns - window_columns) // 2, window_rows, window_columns


def to_signed(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert uint8 (T, H, W, 3) to float32 (T, 3, H, W) in [-1, 1]: 0 becomes -1 and 255 becomes 1."""
    return np.ascontiguousarray(frames.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(127.5) - np.float32(1)


def to_uint8(video: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Convert float (T, 3, H, W) in [-1, 1] to uint8 (T, H, W, 3); rounds, and clips what is out of range."""
    levels = np.clip(np.round((video + 1) * 127.5), 0, 255)
    return np.ascontiguousarray(levels.astype(np.uint8).transpose(0, 2, 3, 1))


def edges(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the Canny edges of one frame: (H, W, 3) to (H, W), each 0 or 1.

    The thresholds depend on this frame alone: the high one is the gradient that ``EDGE_SHARE`` of its pixels exceed, so
    dark and low-contrast footage has edges too. Source: Canny, A Computational Approach to Edge Detection, 1986.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    across, down = (cv2.Sobel(grey, cv2.CV_16S, *axis) for axis in ((1, 0), (0, 1)))
    gradient = np.abs(across) + np.abs(down)  # the L1 norm that cv2.Canny compares, at most 2040
    strong = max(quantile(gradient, 1 - EDGE_SHARE), FAINTEST_EDGE)
    found: Any = cv2.Canny(across, down, WEAK_TO_STRONG * strong, strong)
    return np.asarray(found > 0, dtype=np.float32)


def quantile(values: NDArray[np.int16], share: float) -> float:
    """Compute ``np.quantile`` of small non-negative integers by counting: 20 µs instead of 110 for 64 x 128 values."""
    upto = np.cumsum(np.bincount(values.ravel()))
    place = share * (values.size - 1)
    below, above = np.searchsorted(upto, (math.floor(place), math.ceil(place)), side="right").tolist()
    beyond = place - math.floor(place)
    step = above - below
    return float(below + step * beyond if beyond < 0.5 else above - step * (1 - beyond))


def distance_map(edges: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Distance of each pixel to the nearest edge, (H, W) of 0 and 1 to (H, W) in [0, 1]: ``min(3 d, 255) / 255``.

    d is the L1 distance in pixels, so 85 pixels and more give 1, as does a frame without edges. It adds information
    where edges have none, in flat regions.
    """
    if not edges.any():
        return np.ones(edges.shape, np.float32)
    nearest: Any = cv2.distanceTransform((edges == 0).astype(np.uint8), cv2.DIST_L1, 3)
    return np.asarray(np.minimum(nearest * DISTANCE_GAIN, 255) / 255, np.float32)


def drawing(frame: NDArray[np.uint8], kind: str) -> NDArray[np.float32]:
    """Compute a condition from one frame: (H, W, 3) to (C, H, W); kinds and C as in ``DRAWN_CHANNELS``."""
    lines = edges(frame)
    return lines[None] if kind == "edges" else np.stack([lines, distance_map(lines)])
