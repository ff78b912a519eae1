"""Clean clips: one thing of one shape and size that moves one way over a plain background, as in shape motion.

The rule says what every clip of the data has and most failures of a generator lack. It is lenient about single
pixels, so that noise on a good clip does not count, and strict about what a viewer sees: a second thing, a thing that
grows, melts or turns into another, one that turns round or stands still.

Shapes: N clips, T frames, C channels, H x W pixels, P pixels a side of a patch.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.evaluation.metric import MetricValues, Setup, VideoMetric, Videos

Masks = NDArray[np.bool_]

CANVAS = 64
"""Side of the frames, in pixels, that the thresholds in pixels are for; at other sizes they scale."""
BRIGHTEST = 24
"""Number of the brightest pixels whose mean is the contrast of a frame: half of the smallest published shape."""
LEAST_CONTRAST = 16 / 255
"""Contrast below which a clip shows nothing: 2 in 10,000 of the published clips."""
LEAST_AREA = 12
"""Area in pixels of a second thing; smaller specks are ignored. A quarter of the smallest published shape."""
LEAST_OVERLAP = 0.8
"""Least intersection over union of the thing in a frame with the thing in most frames, at the best place."""
LEAST_MOTION = 1 / 4
"""Least distance that the thing moves in all, as a share of the frame's side."""
MOST_BACK = 1 / 5
"""Largest motion back, as a share of the distance that the thing moves in all; published clips reach 0.15."""
MOST_ASIDE = 1 / 2
"""Largest distance across the way, as a share of that along it. Published clips return to where they began."""
LONGEST_STEP = 3 / 8
"""Longest step between two frames, as a share of the frame's side; published clips reach 22 of 64 pixels at every 4th
frame."""
CHECKS = ("one_thing", "one_shape", "one_way")


class CleanClips(VideoMetric):
    """``<name>``: share of clips that pass all checks, and of those that pass each: ``<name>_one_thing``, exactly one
    component in every frame; ``_one_shape``, of one shape and size; ``_one_way``, moving one way. ``real/…``: the same
    of the real clips.

    The later checks look at the largest component, so each has a value of its own. A clip must show most of a way
    across the frame, as those of `shapes` do.
    """

    generated: Tensor
    real: Tensor

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        self.name = name
        for state in ("generated", "real"):
            self.add_state(state, torch.zeros(2 + len(CHECKS), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, videos: Videos, real: bool) -> None:
        """Add a batch: the number of clips, of clean ones, and of those that pass each check."""
        passed = np.array([check_clip(clip) for clip in videos.video.cpu().numpy()])
        counts = torch.tensor([len(passed), passed.all(1).sum(), *passed.sum(0)], dtype=torch.float64)
        if real:
            self.real += counts.to(self.real.device)
        else:
            self.generated += counts.to(self.generated.device)

    def compute(self) -> MetricValues:
        """Return the shares of the samples and of the real clips."""
        values = {}
        for prefix, state in (("", self.generated), ("real/", self.real)):
            clips, clean, *passed = state.tolist()
            if clips:
                values[f"{prefix}{self.name}"] = clean / clips
                values |= {
                    f"{prefix}{self.name}_{check}": count / clips for check, count in zip(CHECKS, passed, strict=True)
                }
        return values


def check_clip(video: NDArray[np.floating[Any]]) -> tuple[bool, bool, bool]:
    """Whether a clip (T, C, H, W) in [-1, 1] shows one thing, of one shape and size, moving one way."""
    foreground = find_foreground(video)
    if foreground is None:
        return False, False, False
    side = min(video.shape[-2:])
    found = [find_components(mask, LEAST_AREA * (side / CANVAS) ** 2) for mask in foreground]
    if not all(areas for areas, _ in found):
        return False, False, False
    things = [masks for _, masks in found]
    centres = np.array([np.argwhere(thing).mean(0) for thing in things])
    return all(len(areas) == 1 for areas, _ in found), has_one_shape(things, centres), moves_one_way(centres, side)


def find_foreground(video: NDArray[np.floating[Any]]) -> Masks | None:
    """Pixels that differ from the background by more than half of the clip's contrast, (T, H, W); None without
    contrast.

    The background is the median colour of the clip. A pixel differs by the largest difference of its channels, and the
    contrast is that of the brightest pixels of the median frame. Opening with a cross of 3 x 3 removes single pixels.
    """
    background = np.median(video, axis=(0, 2, 3), keepdims=True)
    difference = np.abs(video - background).max(1) / 2
    count = max(1, round(BRIGHTEST * video.shape[-2] * video.shape[-1] / CANVAS**2))
    brightest = np.partition(difference.reshape(len(video), -1), -count, axis=1)[:, -count:]
    contrast = float(np.median(brightest.mean(1)))
    if contrast < LEAST_CONTRAST:
        return None
    shown = (difference > contrast / 2).astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return np.stack([cv2.morphologyEx(mask, cv2.MORPH_OPEN, cross) for mask in shown]).astype(bool)


def find_components(mask: Masks, least: float) -> tuple[list[int], Masks]:
    """Areas of the components of a mask (H, W), diagonal neighbours included, of at least ``least`` pixels; and the
    mask of the largest one."""
    count, ids, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = [int(statistics[number, cv2.CC_STAT_AREA]) for number in range(1, count)]
    largest = 1 + int(np.argmax(areas)) if areas else -1
    return [area for area in areas if area >= least], np.asarray(ids == largest)


def has_one_shape(things: list[Masks], centres: NDArray[np.float64]) -> bool:
    """Whether the thing in every frame overlaps enough with the thing that most frames show, moved by up to a pixel.

    things: masks (H, W), one a frame. centres: rows and columns, (T, 2).
    """
    half = 2 + max(max(np.ptp(np.argwhere(thing), axis=0)) for thing in things)
    patches = np.stack([_cut_patch(thing, centre, half) for thing, centre in zip(things, centres, strict=True)])
    common = patches.mean(0) > 0.5
    best = np.zeros(len(patches))
    for rows in (-1, 0, 1):
        for columns in (-1, 0, 1):
            moved = np.roll(patches, (rows, columns), (1, 2))
            overlap = (moved & common).sum((1, 2)) / (moved | common).sum((1, 2))
            best = np.maximum(best, overlap)
    return bool((best >= LEAST_OVERLAP).all())


def _cut_patch(thing: Masks, centre: NDArray[np.float64], half: int) -> Masks:
    """The mask around its centre, (P, P); P = 2 ``half`` + 1."""
    row, column = np.floor(centre + 0.5 + 1e-6).astype(int) + half
    return np.pad(thing, half)[row - half : row + half + 1, column - half : column + half + 1]


def moves_one_way(centres: NDArray[np.float64], side: int) -> bool:
    """Whether the centre moves far enough along one axis, hardly ever back, and never jumps. centres: (T, 2)."""
    steps = np.diff(centres, axis=0)
    total = steps.sum(0)
    along = int(np.abs(total).argmax())
    distance = abs(float(total[along]))
    back = float(np.maximum(-np.sign(total[along]) * steps[:, along], 0).sum())
    return bool(
        distance >= LEAST_MOTION * side
        and back <= MOST_BACK * distance
        and abs(total[1 - along]) <= MOST_ASIDE * distance
        and np.abs(steps).max() <= LONGEST_STEP * side
    )
