"""How digits move: three published rules. Positions are those of a digit's top-left corner, in pixels.

A bounce frame is the first that shows the new speed. Under the rules of SVG and PredRNN a digit that would leave the
frame is put back to the border, and goes on with the new speed after that frame. Under the rule of SRVP it changes its
speed on the way, so the frame at the end of this step shows it.

Shapes: T frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Draw = Callable[[int, int], int]
"""Draws a uniform integer in [low, high)."""
MAX_SPEED = 4
"""Largest speed along an axis, pixels per frame."""
STEP = 0.1
"""Length of a step under PredRNN's rule, as a share of the room that a digit has."""
EPSILON = 1e-8
"""How far beyond a border a digit must be to bounce off it, in pixels; SRVP's value."""


@dataclass(frozen=True)
class Room:
    """How far a digit can go: the frame without the digit's own size, in pixels."""

    x: int
    y: int


@dataclass(frozen=True)
class Trajectory:
    """positions: (T, 2) int64, x and y. bounces: (T,) bool, the first frames that show a new speed."""

    positions: NDArray[np.int64]
    bounces: NDArray[np.bool_]


def svg_trajectory(draw: Draw, frames: int, room: Room, redraws: bool) -> Trajectory:
    """Move in whole pixels, from 0 to one less than the room; redraws the speed at a border, or reflects it.

    y is handled before x, so after a bounce in a corner x has the last word on both speeds. Source: Denton and Fergus
    2018, Stochastic Moving MNIST.
    """
    x, y = draw(0, room.x), draw(0, room.y)
    dx, dy = _draw_speed(draw), _draw_speed(draw)
    positions, hits = np.empty((frames, 2), np.int64), np.zeros(frames + 1, bool)
    for t in range(frames):
        if not 0 <= y < room.y:
            y, dy, dx = _bounce(draw, y, room.y, dy, dx, redraws)
            hits[t + 1] = True
        if not 0 <= x < room.x:
            x, dx, dy = _bounce(draw, x, room.x, dx, dy, redraws)
            hits[t + 1] = True
        positions[t] = x, y
        x, y = x + dx, y + dy
    return Trajectory(positions, hits[:frames])


def _draw_speed(draw: Draw) -> int:
    return draw(-MAX_SPEED, MAX_SPEED + 1)


def _bounce(draw: Draw, place: int, room: int, across: int, along: int, redraws: bool) -> tuple[int, int, int]:
    """Put a digit back to the border; returns its place, and the speeds across and along the border."""
    before = place < 0
    if not redraws:
        across = -across
    elif before:
        across, along = draw(1, MAX_SPEED + 1), _draw_speed(draw)
    else:
        across, along = draw(-MAX_SPEED, 0), _draw_speed(draw)
    return (0 if before else room - 1), across, along


def srvp_trajectory(draw: Draw, frames: int, room: Room, redraws: bool) -> Trajectory:
    """Move along exact lines and bounce at the exact moment; positions, from 0 to the room, are rounded when drawn.

    Source: Franceschi et al. 2020, Stochastic Latent Residual Video Prediction. Their first axis is that of rows, so it
    is drawn first. Sums and quotients are in their order, so that positions halfway between two pixels round alike.
    """
    limits = (room.y, room.x)
    row, column = float(draw(0, room.y + 1)), float(draw(0, room.x + 1))
    speed = [_draw_speed(draw), _draw_speed(draw)]
    positions, bounces = [], []
    for _ in range(frames):
        bounced = any(_sides([row, column], limits))
        if bounced:
            row, column = _bounce_exactly(draw, [row, column], speed, limits, redraws)
        bounces.append(bounced)
        positions.append((round(column), round(row)))
        row, column = row + speed[0], column + speed[1]
    return Trajectory(np.array(positions), np.array(bounces))


def _bounce_exactly(
    draw: Draw, place: list[float], speed: list[int], limits: tuple[int, int], redraws: bool
) -> list[float]:
    """Undo the part of a step that lies beyond the border and go on with a new speed, until the digit is inside.

    Changes ``speed``; returns the place.
    """
    while any(sides := _sides(place, limits)):
        contact, sides = _find_contact(place, speed, limits, sides)
        axis = 0 if speed[0] else 1
        rest = (place[axis] - contact[axis]) / speed[axis]
        if redraws:
            speed[:] = _draw_speed(draw), _draw_speed(draw)
        speed[:] = [-side * abs(value) if side else value for side, value in zip(sides, speed, strict=True)]
        place = [start + value * rest for start, value in zip(contact, speed, strict=True)]
    return place


def _find_contact(
    place: list[float], speed: list[int], limits: tuple[int, int], sides: list[int]
) -> tuple[list[float], list[int]]:
    """Where the line of a digit that lies beyond a border crosses it: the point, and those of the sides that it meets
    there (both in a corner)."""
    ends = [limit if side > 0 else 0 for side, limit in zip(sides, limits, strict=True)]
    if speed[0] == 0:
        return [place[0], ends[1]], sides
    if speed[1] == 0:
        return [ends[0], place[1]], sides
    slope = speed[1] / speed[0]
    offset = place[1] - slope * place[0]
    crossings = [[ends[0], slope * ends[0] + offset], [(ends[1] - offset) / slope, ends[1]]]
    met = [
        side if -EPSILON <= crossing[1 - axis] <= limits[1 - axis] + EPSILON else 0
        for axis, (side, crossing) in enumerate(zip(sides, crossings, strict=True))
    ]
    assert any(met), (place, speed)
    return crossings[1] if met[1] else crossings[0], met


def _sides(place: list[float], limits: tuple[int, int]) -> list[int]:
    """Where a digit lies along each axis: -1 before the border, 1 beyond it, 0 between."""
    return [(value > limit + EPSILON) - (value < -EPSILON) for value, limit in zip(place, limits, strict=True)]


def predrnn_trajectory(uniform: Callable[[], float], frames: int, room: Room) -> Trajectory:
    """Move at a constant speed in a random direction, a tenth of the room a frame, and reflect it at the borders.

    Positions are truncated to pixels. Source: Srivastava et al. 2015, in the form of PredRNN and OpenSTL.
    """
    x, y = uniform(), uniform()
    angle = uniform() * 2 * math.pi
    dy, dx = math.sin(angle) * STEP, math.cos(angle) * STEP
    positions, hits = np.empty((frames, 2), np.int64), np.zeros(frames + 1, bool)
    for t in range(frames):
        x, y = x + dx, y + dy
        if not 0 < x < 1:
            x, dx, hits[t + 1] = min(max(x, 0.0), 1.0), -dx, True
        if not 0 < y < 1:
            y, dy, hits[t + 1] = min(max(y, 0.0), 1.0), -dy, True
        positions[t] = int(room.x * x), int(room.y * y)
    return Trajectory(positions, hits[:frames])
