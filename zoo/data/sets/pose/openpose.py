"""OpenPose's keypoints: read from its JSON, placed in a frame of the clip, drawn.

Source: Cao et al., OpenPose: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields, 2019.
Shapes: P people, H x W pixels; K = 137 keypoints a person, each x, y, confidence: 25 of the body (BODY_25), 70 of the
face, 21 of the left hand, 21 of the right.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.sets.pose.skeleton import BODY, LINES, POINTS, Line
from zoo.data.transforms import cover_points
from zoo.errors import ZooError

ARRAYS = {
    "pose_keypoints_2d": BODY,
    "face_keypoints_2d": 70,
    "hand_left_keypoints_2d": 21,
    "hand_right_keypoints_2d": 21,
}
"""The arrays of a person, in the order of the keypoints here, and how many points each has."""
HEIGHT_OF_A_PIXEL = 128
"""A body's limb is one pixel to either side of its line in a frame of this height, and more in a higher one."""
FARTHEST = 1e6
"""Pixels that a point may be from the corner of its frame; OpenPose finds none outside of it."""
THINNEST = 0.5
"""Pixels to either side of a line, at least."""


def read_people(path: Path) -> NDArray[np.float32]:
    """The people of one frame, (P, K, 3), in pixels of the stored frame; zeros where nothing was found.

    Raises ZooError, naming the file, if it is no JSON or not OpenPose's.
    """
    try:
        people = json.loads(path.read_text())["people"]
        points = np.array([_person(path, person) for person in people], np.float32).reshape(-1, POINTS, 3)
        if not (np.abs(points) < FARTHEST).all():  # nor what is no number
            raise ZooError(f"{path} has a point beyond {FARTHEST:g} pixels, or a number that is none, in a person.")
        return points
    except OSError as problem:
        raise ZooError(f"{path} cannot be read: {problem.strerror}.") from problem
    except json.JSONDecodeError as problem:
        raise ZooError(f"{path} is no whole JSON: {problem}. Write it again with OpenPose's --write_json.") from problem
    except (TypeError, KeyError, ValueError, OverflowError, AttributeError, RecursionError) as problem:
        raise ZooError(
            f"{path} is not what OpenPose's --write_json writes: an object with `people`, a list in which each has "
            f"{', '.join(ARRAYS)}, lists of numbers."
        ) from problem


def _person(path: Path, person: dict[str, Any]) -> list[NDArray[np.float32]]:
    points: list[NDArray[np.float32]] = []
    for name, count in ARRAYS.items():
        numbers = person["pose_keypoints_2d"] if name == "pose_keypoints_2d" else person.get(name, [])
        if len(numbers) not in (0, 3 * count):
            raise ZooError(
                f"{path} has {len(numbers)} numbers in {name}; {3 * count} are expected, x, y and confidence of "
                f"{count} points. Run OpenPose with --model_pose BODY_25."
            )
        points += list(np.array(numbers or [0] * (3 * count), np.float32).reshape(count, 3))
    return points


def placed(people: NDArray[np.float32], stored: tuple[int, int], height: int, width: int) -> NDArray[np.float32]:
    """Keypoints (P, K, 3) of a stored frame (its height and width) where ``cover`` takes them."""
    points = cover_points(people[..., :2], *stored, height, width)
    return np.concatenate([points, people[..., 2:]], axis=-1)


def first_body(people: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """The first person's body, (25, 3) of placed keypoints: all zeros for a point that is missing or outside."""
    body = people[0, :BODY].copy() if len(people) else np.zeros((BODY, 3), np.float32)
    inside = ((body[:, :2] >= 0) & (body[:, :2] <= (width - 1, height - 1))).all(axis=1)
    body[~inside | (body[:, 2] <= 0)] = 0
    return body


def draw_people(
    people: NDArray[np.float32], height: int, width: int, left_out: Collection[int] = ()
) -> NDArray[np.float32]:
    """Placed keypoints (P, K, 3) as coloured, anti-aliased lines on black, (3, H, W) in [-1, 1].

    Where lines overlap their colours are averaged. left_out: numbers of limbs that are not drawn.
    """
    colours, cover = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    most = np.zeros((height, width), np.float32)
    for person in people:
        for line in LINES:
            ends = person[[line.start, line.end]]
            if line.limb not in left_out and ends[:, 2].min() > line.confidence:
                rows, columns, share = _coverage(ends[:, :2], _radius(line, height), height, width)
                colours[rows, columns] += share[..., None] * np.array(line.colour, np.float32)
                cover[rows, columns] += share
                most[rows, columns] = np.maximum(most[rows, columns], share)
    mean = colours / np.maximum(cover, 1e-6)[..., None]
    return np.ascontiguousarray((mean * most[..., None] / 127.5 - 1).transpose(2, 0, 1))


def _radius(line: Line, height: int) -> float:
    return max(THINNEST, line.thickness * height / HEIGHT_OF_A_PIXEL)


def _coverage(
    ends: NDArray[np.float32], radius: float, height: int, width: int
) -> tuple[slice, slice, NDArray[np.float32]]:
    """How much of each pixel lies within ``radius`` of the line between two points, and the window it is for."""
    low = np.floor(ends.min(axis=0) - radius - 1).clip(0, (width, height)).astype(int)
    high = np.ceil(ends.max(axis=0) + radius + 2).clip(0, (width, height)).astype(int)
    x = np.arange(low[0], high[0], dtype=np.float32)
    y = np.arange(low[1], high[1], dtype=np.float32)[:, None]
    (x0, y0), (dx, dy) = ends[0], ends[1] - ends[0]
    along = ((x - x0) * dx + (y - y0) * dy) / max(float(dx * dx + dy * dy), 1e-6)
    along = along.clip(0, 1)
    distance = np.hypot(x - x0 - along * dx, y - y0 - along * dy)
    return slice(low[1], high[1]), slice(low[0], high[0]), (radius + 0.5 - distance).clip(0, 1).astype(np.float32)
