"""Where the one person before a still camera is: background subtraction, then a square that goes along smoothly.

The background is the median over time. A person who crosses the frame is gone from it, and what differs from it is the
whole person. One who stays in place is a part of it, and only what moves differs: the rest is found in the background
itself, by GrabCut, started from a rectangle around the motion. Imports no torch.

Sources: Gorelick et al., Actions as Space-Time Shapes, 2007 (silhouettes by subtracting the median background); Rother
et al., GrabCut, 2004.

Shapes: T frames, h x w pixels. Bounds are (left, top, right, bottom), right and bottom behind the last pixel.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
Bounds = NDArray[np.float64]

MARGIN = 1.2
"""Side of the square over the larger extent of the person."""
LEAST_CHANGE = 18
"""Levels of 255 by which a pixel differs from the background at least, where the person is."""
NOISE_FACTOR = 6
"""The same in multiples of the frame's median difference, for noisy footage."""
SMALLEST = 0.001
"""Share of the frame below which a region is a speck."""
CROSSES = 0.25
"""Share of the frame's width: a person whose middle travels by more does not stay in place."""
SMOOTHING = 6
"""Standard deviation, in frames, of the Gaussian that smooths where the square goes: a quarter of a second."""
OUTLYING = 4
"""Percent of frames, at either end, whose extents are not trusted."""


def person_boxes(frames: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A box for each frame, (T, h, w, 3) to (T, 3): left, top, side, the side and top the same in all of them.

    Where nothing moves, the centre square.
    """
    count, height, width, _ = frames.shape
    background = np.median(frames, axis=0).astype(np.uint8)
    seen, bounds = _tracked(_moving_regions(frames, background))
    if not len(seen):
        return centre_boxes(count, height, width)
    left, top, right, bottom = bounds.T
    middle = (left + right) / 2
    if _spread(middle) < CROSSES * width:
        return _staying(background, bounds, count)
    path = _smoothed(np.interp(np.arange(count), seen, middle))
    upper, lower = _trusted(top, bottom)
    side = MARGIN * max(lower - upper, float(np.percentile(right - left, 100 - OUTLYING)))
    return _squares(path, np.full(count, (upper + lower) / 2), side)


def centre_boxes(count: int, height: int, width: int) -> NDArray[np.int64]:
    """The largest square in the middle, (count, 3)."""
    side = min(height, width)
    return np.tile(np.array([(width - side) // 2, (height - side) // 2, side], np.int64), (count, 1))


def _moving_regions(frames: NDArray[np.uint8], background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(T, h, w), 1 where a frame differs from the background, in the largest region that moves over the video."""
    masks = np.stack([_differs(frame, background) for frame in frames])
    reach: Any = cv2.dilate(masks.max(axis=0), np.ones((9, 9), np.uint8))
    return np.asarray(masks * _largest(reach), np.uint8)


def _differs(frame: NDArray[np.uint8], background: NDArray[np.uint8]) -> Mask:
    """(h, w), 1 where a frame differs from the background; specks removed, gaps closed, upright ones more."""
    difference = cv2.absdiff(cv2.GaussianBlur(frame, (3, 3), 0), cv2.GaussianBlur(background, (3, 3), 0)).max(axis=2)
    mask = (difference > max(LEAST_CHANGE, NOISE_FACTOR * float(np.median(difference)))).astype(np.uint8)
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((9, 5), np.uint8)), np.uint8)


def _largest(mask: Mask) -> Mask:
    """The largest connected region of a mask, (h, w)."""
    _, regions, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not len(areas):
        return mask
    return np.asarray(regions == 1 + int(areas.argmax()), np.uint8)


def _tracked(masks: NDArray[np.uint8]) -> tuple[NDArray[np.int64], Bounds]:
    """Numbers of the frames in which something is seen, (N,), and its bounds, (N, 4)."""
    least = SMALLEST * masks[0].size
    seen = np.flatnonzero(masks.sum(axis=(1, 2), dtype=np.int64) > least)
    return seen, np.array([_bounds(masks[number]) for number in seen], np.float64).reshape(-1, 4)


def _bounds(mask: Mask) -> tuple[int, int, int, int]:
    y, x = np.nonzero(mask)
    return int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1


def _spread(values: NDArray[np.float64]) -> float:
    low, high = np.percentile(values, (OUTLYING, 100 - OUTLYING))
    return float(high - low)


def _trusted(low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[float, float]:
    """The extent over the video, without the frames that stick out."""
    return float(np.percentile(low, OUTLYING)), float(np.percentile(high, 100 - OUTLYING))


def _smoothed(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moving median against single outliers, then a Gaussian; the ends go on as they come."""
    steps = np.lib.stride_tricks.sliding_window_view(np.pad(path, 2, mode="edge"), 5)
    reach = 3 * SMOOTHING
    padded = np.pad(np.median(steps, axis=1), reach, mode="reflect", reflect_type="odd")
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHING) ** 2)
    return np.convolve(padded, weights / weights.sum(), mode="valid")


def _staying(background: NDArray[np.uint8], bounds: Bounds, count: int) -> NDArray[np.int64]:
    """One box for all frames: what moves, and the person that it belongs to."""
    left, right = _trusted(bounds[:, 0], bounds[:, 2])
    top, bottom = _trusted(bounds[:, 1], bounds[:, 3])
    standing = _silhouette(background, (left, top, right, bottom))
    if standing is not None:
        left, top = min(left, standing[0]), min(top, standing[1])
        right, bottom = max(right, standing[2]), max(bottom, standing[3])
    side = MARGIN * max(right - left, bottom - top)
    return _squares(np.full(count, (left + right) / 2), np.full(count, (top + bottom) / 2), side)


def _silhouette(
    picture: NDArray[np.uint8], moving: tuple[float, float, float, float]
) -> tuple[int, int, int, int] | None:
    """Bounds of the person around a moving part, None where what GrabCut finds is none.

    A waving arm is the upper part of a person who is about three times as tall, and may stand on either side of it.
    """
    height, width, _ = picture.shape
    left, top, right, bottom = moving
    across, down = right - left, bottom - top
    x = max(left - 0.6 * across, min(left, 0.08 * width)), min(right + 0.6 * across, max(right, 0.92 * width))
    y = max(top - max(0.3 * down, 0.15 * height), 2), min(bottom + max(1.6 * down, 0.4 * height), height - 2)
    area = (int(x[0]), int(y[0]), int(x[1] - x[0]), int(y[1] - y[0]))
    state: Any = np.zeros((height, width), np.uint8)
    cv2.setRNGSeed(0)  # GrabCut's mixtures start from random centres
    cv2.grabCut(picture, state, area, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_RECT)
    person = _touching(np.asarray((state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD), np.uint8), moving)
    if not 0.04 < person.sum() / (area[2] * area[3]) < 0.6:
        return None
    return _bounds(person)


def _touching(mask: Mask, bounds: tuple[float, float, float, float]) -> Mask:
    """The largest of the regions of a mask that reach into the bounds."""
    left, top, right, bottom = (int(value) for value in bounds)
    _, regions = cv2.connectedComponents(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    inside = np.unique(regions[top:bottom, left:right])
    kept = np.isin(regions, inside[inside > 0])
    return _largest(kept.astype(np.uint8))


def _squares(x: NDArray[np.float64], y: NDArray[np.float64], side: float) -> NDArray[np.int64]:
    """Boxes around middles x and y, (T,) each, to (T, 3)."""
    whole = round(side)
    return np.stack([np.round(x - whole / 2), np.round(y - whole / 2), np.full(len(x), whole)], axis=1).astype(np.int64)
