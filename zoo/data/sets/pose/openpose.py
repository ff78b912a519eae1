"""OpenPose's keypoints: read them from JSON, move them to the frame of the clip, and draw them.

Source: Cao et al., OpenPose: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields, 2019. Shapes: P
people, H x W pixels; K = 137 keypoints per person, each x, y, confidence: 25 of the body (BODY_25), 70 of the face, 21
of the left hand, 21 of the right.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.sets.pose.skeleton import BODY, LINES, POINTS
from zoo.data.transforms import cover_points
from zoo.errors import ZooError
from zoo.io.bounded import read_bounded_json

ARRAYS = {
    "pose_keypoints_2d": BODY,
    "face_keypoints_2d": 70,
    "hand_left_keypoints_2d": 21,
    "hand_right_keypoints_2d": 21,
}
"""Arrays of a person, in the order of the keypoints here, with their number of points."""
REFERENCE_HEIGHT = 128
"""Height of a frame in which the line of a limb has a radius of one pixel; the radius is proportional to the height."""
MAX_COORDINATE = 1e6
"""Maximal coordinate of a point in pixels; OpenPose finds none outside the frame."""
MIN_RADIUS = 0.5
"""Minimal radius of a line in pixels."""


def read_people(path: Path) -> NDArray[np.float32]:
    """Read the people of one frame, (P, K, 3), in pixels of the stored frame; zeros where nothing was found.

    Raises ZooError, naming the file, if it is not JSON as OpenPose writes it.
    """
    try:
        people = read_bounded_json(path)["people"]
        points = np.array([_parse_person(path, person) for person in people], np.float32).reshape(-1, POINTS, 3)
        if not (np.abs(points) < MAX_COORDINATE).all():  # false for nan too
            raise ZooError(
                f"{path} has a keypoint that is not finite or beyond {MAX_COORDINATE:g} pixels. Run OpenPose again."
            )
        return points
    except OSError as problem:
        raise ZooError(f"{path} cannot be read: {problem.strerror}.") from problem
    except json.JSONDecodeError as problem:
        raise ZooError(
            f"{path} is not complete JSON: {problem}. Write it again with OpenPose's --write_json."
        ) from problem
    except (TypeError, KeyError, ValueError, OverflowError, AttributeError, RecursionError) as problem:
        raise ZooError(
            f"{path} is not in the format of OpenPose's --write_json: an object with a list `people`, each with the "
            f"lists of numbers {', '.join(ARRAYS)}."
        ) from problem


def _parse_person(path: Path, person: dict[str, Any]) -> list[NDArray[np.float32]]:
    points: list[NDArray[np.float32]] = []
    for name, count in ARRAYS.items():
        numbers = person["pose_keypoints_2d"] if name == "pose_keypoints_2d" else person.get(name, [])
        if len(numbers) not in (0, 3 * count):
            raise ZooError(
                f"{path} has {len(numbers)} numbers in {name}, but {3 * count} are expected: x, y and confidence of "
                f"{count} points. Run OpenPose with --model_pose BODY_25."
            )
        points += list(np.array(numbers or [0] * (3 * count), np.float32).reshape(count, 3))
    return points


def place_keypoints(
    people: NDArray[np.float32], stored: tuple[int, int], height: int, width: int
) -> NDArray[np.float32]:
    """Move keypoints (P, K, 3) of a stored frame (its height and width) to where ``cover`` moves them."""
    points = cover_points(people[..., :2], *stored, height, width)
    return np.concatenate([points, people[..., 2:]], axis=-1)


def first_body(people: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Body of the first person, (25, 3), from placed keypoints; zeros where one is missing or outside the frame."""
    body = people[0, :BODY].copy() if len(people) else np.zeros((BODY, 3), np.float32)
    inside = ((body[:, :2] >= 0) & (body[:, :2] <= (width - 1, height - 1))).all(axis=1)
    body[~inside | (body[:, 2] <= 0)] = 0
    return body


def draw_people(
    people: NDArray[np.float32], height: int, width: int, dropped: Collection[int] = ()
) -> NDArray[np.float32]:
    """Draw placed keypoints (P, K, 3) as coloured, anti-aliased lines on black, (3, H, W) in [-1, 1].

    Where lines overlap, their colours are averaged. dropped: numbers of limbs that are not drawn.
    """
    colours, total = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    maximum = np.zeros((height, width), np.float32)
    for person in people:
        for line in LINES:
            ends = person[[line.start, line.end]]
            if line.limb not in dropped and ends[:, 2].min() > line.confidence:
                radius = max(MIN_RADIUS, line.thickness * height / REFERENCE_HEIGHT)
                rows, columns, share = _coverage(ends[:, :2], radius, height, width)
                colours[rows, columns] += share[..., None] * np.array(line.colour, np.float32)
                total[rows, columns] += share
                maximum[rows, columns] = np.maximum(maximum[rows, columns], share)
    mean = colours / np.maximum(total, 1e-6)[..., None]
    return np.ascontiguousarray((mean * maximum[..., None] / 127.5 - 1).transpose(2, 0, 1))


def _coverage(
    ends: NDArray[np.float32], radius: float, height: int, width: int
) -> tuple[slice, slice, NDArray[np.float32]]:
    """Coverage of each pixel by a line of this radius between two points, with the window of rows and columns it is
    for."""
    low = np.floor(ends.min(axis=0) - radius - 1).clip(0, (width, height)).astype(int)
    high = np.ceil(ends.max(axis=0) + radius + 2).clip(0, (width, height)).astype(int)
    x = np.arange(low[0], high[0], dtype=np.float32)
    y = np.arange(low[1], high[1], dtype=np.float32)[:, None]
    (x0, y0), (dx, dy) = ends[0], ends[1] - ends[0]
    along = ((x - x0) * dx + (y - y0) * dy) / max(float(dx * dx + dy * dy), 1e-6)
    along = along.clip(0, 1)
    distance = np.hypot(x - x0 - along * dx, y - y0 - along * dy)
    return slice(low[1], high[1]), slice(low[0], high[0]), (radius + 0.5 - distance).clip(0, 1).astype(np.float32)
