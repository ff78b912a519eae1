"""Find the person in front of a still camera by background subtraction, and follow them with a square.

The background is the median over time. A person who crosses the frame is not part of it, so the difference shows the
whole person. A person who stays in place is part of it, and the difference shows only what moves; GrabCut then finds
the rest in the background image, starting from a rectangle around the motion. Imports no torch.

Sources: Gorelick et al., Actions as Space-Time Shapes, 2007 (silhouettes by subtracting the median background); Rother
et al., GrabCut, 2004.

Shapes: T frames, h x w pixels. Bounds are (left, top, right, bottom); right and bottom are one past the last pixel.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
Bounds = NDArray[np.float64]

MARGIN = 1.2
"""Side of the square, relative to the larger extent of the person."""
MIN_CHANGE = 18
"""Minimal difference from the background, in levels of 255, of a pixel that shows the person."""
NOISE_FACTOR = 6
"""The same in multiples of the frame's median difference, for noisy footage."""
MIN_REGION_SHARE = 0.001
"""Minimal share of the frame that a region must cover."""
TRAVEL_SHARE = 0.25
"""Share of the frame's width that the centre of a person travels at least who does not stay in place."""
SMOOTHING = 6
"""Standard deviation, in frames, of the Gaussian that smooths the path of the square: a quarter of a second."""
OUTLIER_PERCENT = 4
"""Percentage of frames at either end whose extents are treated as outliers."""


def person_boxes(frames: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return a box per frame, (T, h, w, 3) to (T, 3): left, top, side. Top and side are the same in all frames.

    If nothing moves, the centre square.
    """
    count, height, width, _ = frames.shape
    background = np.median(frames, axis=0).astype(np.uint8)
    seen, bounds = _track_bounds(_moving_regions(frames, background))
    if not len(seen):
        return centre_boxes(count, height, width)
    left, top, right, bottom = bounds.T
    middle = (left + right) / 2
    if _robust_range(middle) < TRAVEL_SHARE * width:
        return _stationary_boxes(background, bounds, count)
    path = _smooth_path(np.interp(np.arange(count), seen, middle))
    upper, lower = _robust_extent(top, bottom)
    side = MARGIN * max(lower - upper, float(np.percentile(right - left, 100 - OUTLIER_PERCENT)))
    return _square_boxes(path, np.full(count, (upper + lower) / 2), side)


def centre_boxes(count: int, height: int, width: int) -> NDArray[np.int64]:
    """The largest centred square, (count, 3)."""
    side = min(height, width)
    return np.tile(np.array([(width - side) // 2, (height - side) // 2, side], np.int64), (count, 1))


def _moving_regions(frames: NDArray[np.uint8], background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Masks, (T, h, w): 1 where a frame differs from the background, in the largest region that moves in the video."""
    masks = np.stack([_foreground_mask(frame, background) for frame in frames])
    reach: Any = cv2.dilate(masks.max(axis=0), np.ones((9, 9), np.uint8))
    return np.asarray(masks * _largest_region(reach), np.uint8)


def _foreground_mask(frame: NDArray[np.uint8], background: NDArray[np.uint8]) -> Mask:
    """Mask, (h, w): 1 where a frame differs from the background. Removes specks and closes gaps, tall ones more."""
    difference = cv2.absdiff(cv2.GaussianBlur(frame, (3, 3), 0), cv2.GaussianBlur(background, (3, 3), 0)).max(axis=2)
    mask = (difference > max(MIN_CHANGE, NOISE_FACTOR * float(np.median(difference)))).astype(np.uint8)
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((9, 5), np.uint8)), np.uint8)


def _largest_region(mask: Mask) -> Mask:
    """The largest connected region of a mask, (h, w)."""
    _, regions, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not len(areas):
        return mask
    return np.asarray(regions == 1 + int(areas.argmax()), np.uint8)


def _track_bounds(masks: NDArray[np.uint8]) -> tuple[NDArray[np.int64], Bounds]:
    """Numbers of the frames with a region, (N,), and its bounds, (N, 4)."""
    least = MIN_REGION_SHARE * masks[0].size
    seen = np.flatnonzero(masks.sum(axis=(1, 2), dtype=np.int64) > least)
    return seen, np.array([_bounds(masks[number]) for number in seen], np.float64).reshape(-1, 4)


def _bounds(mask: Mask) -> tuple[int, int, int, int]:
    y, x = np.nonzero(mask)
    return int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1


def _robust_range(values: NDArray[np.float64]) -> float:
    low, high = np.percentile(values, (OUTLIER_PERCENT, 100 - OUTLIER_PERCENT))
    return float(high - low)


def _robust_extent(low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[float, float]:
    """Extent over the video, without outliers."""
    return float(np.percentile(low, OUTLIER_PERCENT)), float(np.percentile(high, 100 - OUTLIER_PERCENT))


def _smooth_path(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth a path: moving median against single outliers, then a Gaussian; the ends are extrapolated."""
    steps = np.lib.stride_tricks.sliding_window_view(np.pad(path, 2, mode="edge"), 5)
    reach = 3 * SMOOTHING
    padded = np.pad(np.median(steps, axis=1), reach, mode="reflect", reflect_type="odd")
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHING) ** 2)
    return np.convolve(padded, weights / weights.sum(), mode="valid")


def _stationary_boxes(background: NDArray[np.uint8], bounds: Bounds, count: int) -> NDArray[np.int64]:
    """One box for all frames: what moves, and the person that it belongs to."""
    left, right = _robust_extent(bounds[:, 0], bounds[:, 2])
    top, bottom = _robust_extent(bounds[:, 1], bounds[:, 3])
    standing = _silhouette(background, (left, top, right, bottom))
    if standing is not None:
        left, top = min(left, standing[0]), min(top, standing[1])
        right, bottom = max(right, standing[2]), max(bottom, standing[3])
    side = MARGIN * max(right - left, bottom - top)
    return _square_boxes(np.full(count, (left + right) / 2), np.full(count, (top + bottom) / 2), side)


def _silhouette(
    picture: NDArray[np.uint8], moving: tuple[float, float, float, float]
) -> tuple[int, int, int, int] | None:
    """Bounds of the person around a moving part; None if GrabCut's result is implausible.

    A waving arm is the upper part of a person who is about three times as tall, and may be on either side of the
    person.
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
    person = _region_touching(np.asarray((state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD), np.uint8), moving)
    if not 0.04 < person.sum() / (area[2] * area[3]) < 0.6:
        return None
    return _bounds(person)


def _region_touching(mask: Mask, bounds: tuple[float, float, float, float]) -> Mask:
    """The largest region of a mask that overlaps the bounds."""
    left, top, right, bottom = (int(value) for value in bounds)
    _, regions = cv2.connectedComponents(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    inside = np.unique(regions[top:bottom, left:right])
    kept = np.isin(regions, inside[inside > 0])
    return _largest_region(kept.astype(np.uint8))


def _square_boxes(x: NDArray[np.float64], y: NDArray[np.float64], side: float) -> NDArray[np.int64]:
    """Boxes centred on x and y, (T,) each, to (T, 3)."""
    whole = round(side)
    return np.stack([np.round(x - whole / 2), np.round(y - whole / 2), np.full(len(x), whole)], axis=1).astype(np.int64)
