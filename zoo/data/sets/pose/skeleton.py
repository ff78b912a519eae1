"""The lines of a drawn skeleton: which keypoints they join, their colour, and the limb they belong to.

Keypoints are numbered as in ``openpose``: the body from 0, the face from 25, the left hand from 95, the right from 116.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

Colour = tuple[int, int, int]

BODY = 25
FACE = BODY
LEFT_HAND, RIGHT_HAND = FACE + 70, FACE + 70 + 21
POINTS = RIGHT_HAND + 21

BODY_LIMBS = (
    (1, 8), (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7),
    (8, 9), (9, 10), (10, 11), (8, 12), (12, 13), (13, 14),
    (1, 0), (0, 15), (15, 17), (0, 16), (16, 18),
    (14, 19), (19, 20), (14, 21), (11, 22), (22, 23), (11, 24),
)  # fmt: skip
"""Spine, shoulders, arms (right, left), legs (right, left), head, feet (left, right), in BODY_25."""
FINGERS = tuple((0, *range(first, first + 4)) for first in (1, 5, 9, 13, 17))
"""Thumb to little finger, each from the wrist."""
FACE_CURVES = (
    tuple(range(17)),
    tuple(range(17, 22)),
    tuple(range(22, 27)),
    tuple(range(27, 31)),
    tuple(range(31, 36)),
    (*range(36, 42), 36),
    (*range(42, 48), 42),
    (*range(48, 60), 48),
    (*range(60, 68), 60),
)
"""Jaw, brows, bridge and base of the nose, eyes, outer and inner lips. The pupils are single points and not drawn."""
FACE_COLOUR: Colour = (255, 255, 255)

MIN_CONFIDENCE = {"body": 0.05, "face": 0.4, "hand": 0.2}
"""Minimal confidence of a drawn keypoint: OpenPose's own thresholds for rendering."""


@dataclass(frozen=True)
class Line:
    """A line between two keypoints. limb: number of the limb it belongs to. thickness: relative to the body's."""

    start: int
    end: int
    colour: Colour
    limb: int
    confidence: float
    thickness: float


def _build_lines() -> Iterator[Line]:
    limb = 0
    for (start, end), colour in zip(BODY_LIMBS, _hues(len(BODY_LIMBS), 1.0), strict=True):
        yield Line(start, end, colour, limb, MIN_CONFIDENCE["body"], 1.0)
        limb += 1
    for first, value in ((LEFT_HAND, 1.0), (RIGHT_HAND, 0.7)):
        for finger, colour in zip(FINGERS, _hues(len(FINGERS), value), strict=True):
            yield from _join_points(finger, first, Line(0, 0, colour, limb, MIN_CONFIDENCE["hand"], 0.5))
            limb += 1
    for curve in FACE_CURVES:
        yield from _join_points(curve, FACE, Line(0, 0, FACE_COLOUR, limb, MIN_CONFIDENCE["face"], 0.5))
        limb += 1


def _join_points(points: Sequence[int], first: int, template: Line) -> Iterator[Line]:
    return (replace(template, start=first + a, end=first + b) for a, b in pairwise(points))


def _hues(count: int, value: float) -> Iterable[Colour]:
    """Yield colours evenly spaced in hue."""
    for i in range(count):
        red, green, blue = colorsys.hsv_to_rgb(i / count, 1.0, value)
        yield round(255 * red), round(255 * green), round(255 * blue)


LINES = tuple(_build_lines())
LIMBS = 1 + LINES[-1].limb
