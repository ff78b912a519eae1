"""Exact ground truth of a rendered clip: labels, flow, visibility, edges, and the drawn pose.

Shapes: T frames, H x W pixels, P planes (those of the backdrop, then the layers), N pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.data.sets.puppets.backdrop import BUILDING, GROUND, PLANES, SKY
from zoo.data.sets.puppets.body import BONES, JOINTS, Pose
from zoo.data.sets.puppets.config import LABELS
from zoo.data.sets.puppets.layers import Colour, Floats, Ints, Layer, Paint, composite, depth
from zoo.data.sets.puppets.render import Rendering
from zoo.data.transforms import distance_map

BONE_COLOURS: tuple[Colour, ...] = (
    (255, 255, 255), (160, 160, 160),
    (255, 64, 64), (255, 160, 64), (64, 160, 255), (64, 64, 255),
    (224, 64, 160), (240, 224, 64), (64, 224, 200), (96, 200, 64),
)  # fmt: skip
"""One colour per bone, in the order of BONES: all limbs differ, near from far."""


def labels(rendering: Rendering) -> Ints:
    """Class of each pixel's top-most plane, (T, H, W) int64."""
    backdrop = {SKY: "sky", BUILDING: "building", GROUND: "ground"}
    ids = [LABELS.index(backdrop[plane]) for plane in range(PLANES)]
    return _look_up_planes(rendering, ids + [layer.label for layer in rendering.layers])


def instances(rendering: Rendering) -> Ints:
    """Puppet or occluder that each pixel belongs to, from 1; 0 is the backdrop. (T, H, W) int64."""
    return _look_up_planes(rendering, [0] * PLANES + [layer.instance for layer in rendering.layers])


def _look_up_planes(rendering: Rendering, ids: list[int]) -> Ints:
    """Look up the id (below 256) of each pixel's plane, as bytes, which is faster."""
    return np.array(ids, np.uint8)[rendering.plane].astype(np.int64)


def edges(rendering: Rendering) -> Floats:
    """1 where the right or lower neighbour lies on another plane, else 0; (T, 1, H, W)."""
    plane = rendering.plane
    edge = np.zeros(plane.shape, bool)
    edge[:, :, :-1] |= plane[:, :, :-1] != plane[:, :, 1:]
    edge[:, :-1] |= plane[:, :-1] != plane[:, 1:]
    return edge[:, None].astype(np.float32)


def edges_and_distance(rendering: Rendering) -> Floats:
    """Edges and the truncated distance to them, (T, 2, H, W) in [0, 1]; see ``transforms.distance_map``."""
    lines = edges(rendering)
    return np.concatenate([lines, np.stack([distance_map(frame) for frame in lines[:, 0]])[:, None]], axis=1)


def draw_pose(rendering: Rendering) -> Floats:
    """Draw every puppet's bones as coloured lines on black, far limbs behind, (T, 3, H, W) in [-1, 1]."""
    canvas = np.full(rendering.canvas.shape, -1, np.float32)
    composite(canvas, None, [bone for body in reversed(rendering.poses) for bone in _bones(body)], 0)
    return canvas


def _bones(body: Pose) -> list[Layer]:
    colours = dict(zip(BONES, BONE_COLOURS, strict=True))
    far_first = sorted(BONES, key=lambda bone: bone[1].startswith("far"), reverse=True)
    return [_bone(body, start, end, colours[start, end]) for start, end in far_first]


def _bone(body: Pose, start: str, end: str, colour: Colour) -> Layer:
    origin = body.joints[start]
    bone = body.joints[end] - origin
    length = np.linalg.norm(bone, axis=1, keepdims=True)
    radius = max(0.016 * body.unit, 0.6)
    return Layer(origin, bone / length, float(length[0, 0]), radius, radius, 1, body.unit, Paint(colour), 0, 0)


def joints(body: Pose, height: int, width: int) -> Floats:
    """Joints: x and y in pixels, and 1 if the joint is inside the frame, else 0; (T, J, 3) float32.

    An occluded joint counts as inside, because its position is known.
    """
    place = body.array()
    inside = ((place >= 0) & (place <= (width - 1, height - 1))).all(axis=2, keepdims=True)
    assert place.shape[1] == len(JOINTS)
    return np.concatenate([place, inside], axis=2, dtype=np.float32)


def flow(rendering: Rendering) -> Floats:
    """Backward flow (T-1, 2, H, W) in pixels: from a pixel to where its material point was in the earlier frame."""
    plane = rendering.plane[1:]
    steps, height, width = plane.shape
    moved = np.zeros((steps, PLANES + len(rendering.layers)), np.float32)
    moved[:, :PLANES] = np.diff(rendering.backdrop.shift, axis=0)
    result = np.zeros((steps, 2, height, width), np.float32)
    for step in range(steps):
        result[step, 0] = moved[step].take(plane[step])
    pixel = np.flatnonzero(plane >= PLANES)
    t, place = np.divmod(pixel, height * width)
    y, x = np.divmod(place, width)
    linear, offset = _invert_motion(rendering.layers)
    number = plane.ravel()[pixel] - PLANES
    turn, shift = linear[number, t], offset[number, t]
    pairs = result.reshape(steps, 2, height * width)
    pairs[t, 0, place] = turn[:, 0, 0] * x + turn[:, 0, 1] * y + shift[:, 0] - x
    pairs[t, 1, place] = turn[:, 1, 0] * x + turn[:, 1, 1] * y + shift[:, 1] - y
    return result


def _invert_motion(layers: list[Layer]) -> tuple[Floats, Floats]:
    """Motion from frame t + 1 to frame t: ``source = linear @ point + offset``; (L, T-1, 2, 2) and (L, T-1, 2)."""
    origin = np.stack([layer.origin for layer in layers])
    axis, across = np.stack([layer.axis for layer in layers]), np.stack([layer.across for layer in layers])
    basis = np.stack([axis, across], axis=3)
    linear = basis[:, :-1] @ basis[:, 1:].swapaxes(2, 3)
    return linear, origin[:, :-1] - np.squeeze(linear @ origin[:, 1:, :, None], axis=3)


def visibility(rendering: Rendering, backward: Floats) -> Floats:
    """1 where the material point was inside the earlier frame and not occluded; (T-1, 1, H, W)."""
    visible = np.empty((len(backward), 1, *rendering.plane.shape[1:]), np.float32)
    uniform, shapes = _find_uniform(rendering.plane[:-1]), _stack_shapes(rendering.layers)
    for t, offsets in enumerate(backward):
        visible[t, 0] = _find_visible(rendering, shapes, t, offsets, uniform[t])
    return visible


MIXED = 255
RIM = 1e-3
"""Tolerance in pixels: a point on the rim of its own layer, or of the frame, belongs to it whatever the rounding."""


@dataclass(frozen=True)
class Shapes:
    """All layers, backmost first, as float32 arrays.

    origin, axis, across: (T, L, 2). shape: (3, L, 1). columns: (T, 2), the range of columns with layers.
    """

    origin: Floats
    axis: Floats
    across: Floats
    shape: Floats
    columns: Floats

    def cover(self, t: int, x: Floats, y: Floats) -> NDArray[np.bool_]:
        """Which layers cover points (N,) of frame t, (L, N)."""
        dx, dy = x - self.origin[t, :, :1], y - self.origin[t, :, 1:]
        u, v = (dx * e[t, :, :1] + dy * e[t, :, 1:] for e in (self.axis, self.across))
        return depth(u, v, *self.shape) > -RIM


def _stack_shapes(layers: list[Layer]) -> Shapes:
    origin = np.array([layer.origin for layer in layers], np.float32).swapaxes(0, 1)
    axis = np.array([layer.axis for layer in layers], np.float32).swapaxes(0, 1)
    across = np.array([layer.across for layer in layers], np.float32).swapaxes(0, 1)
    shape = np.array([layer.shape for layer in layers]).T[..., None]
    x = origin[:, :, 0]
    ends = np.concatenate([x, x + shape[0, :, 0] * axis[:, :, 0]], axis=1)
    reach = shape[1:].max() + 1
    columns = np.stack([ends.min(axis=1) - reach, ends.max(axis=1) + reach], axis=1)
    return Shapes(origin, axis, across, shape, columns)


def _find_uniform(plane: Ints) -> Ints:
    """Plane of the two-by-two pixels to the right of and below each pixel, or MIXED if they differ; (T, H, W)."""
    right = np.concatenate([plane[:, :, 1:], plane[:, :, -1:]], axis=2)
    pair = np.where(plane == right, plane, np.uint8(MIXED))
    below = np.concatenate([pair[:, 1:], pair[:, -1:]], axis=1)
    return np.where(pair == below, pair, np.uint8(MIXED))


def _find_visible(rendering: Rendering, shapes: Shapes, t: int, offsets: Floats, uniform: Ints) -> Ints:
    """Find the pixels of frame t + 1 that show what frame t shows at their source, (H, W) bool.

    Where the four pixels around the source show the same plane, that decides. Elsewhere the shapes decide, at the exact
    source point.
    """
    plane = rendering.plane[t + 1]
    height, width = plane.shape
    x = offsets[0] + np.arange(width, dtype=np.float32)
    y = offsets[1] + np.arange(height, dtype=np.float32)[:, None]
    seen: Ints = (x >= -RIM) & (x <= width - 1 + RIM) & (y >= -RIM) & (y <= height - 1 + RIM)
    left, top = np.clip(x, 0, width - 1).astype(int), np.clip(y, 0, height - 1).astype(int)
    undecided = np.flatnonzero(seen & (uniform.take(top * width + left) != plane))
    source = x.ravel()[undecided], y.ravel()[undecided]
    seen.ravel()[undecided] = plane.ravel()[undecided] == _plane_at(rendering, shapes, t, *source)
    return seen


def _plane_at(rendering: Rendering, shapes: Shapes, t: int, x: Floats, y: Floats) -> Ints:
    """Top-most plane at points (N,) of frame t, computed from the shapes."""
    top = rendering.backdrop.plane_at(t, x, np.round(y).astype(int))
    first, last = shapes.columns[t]
    near = np.flatnonzero((x >= first) & (x <= last))
    numbers = np.arange(PLANES, PLANES + len(rendering.layers), dtype=np.uint8)[:, None]
    layer = (shapes.cover(t, x[near], y[near]) * numbers).max(axis=0)
    top[near] = np.maximum(layer, top[near])
    return top
