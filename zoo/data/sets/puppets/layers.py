"""The renderer's only primitive: a tapered capsule that moves rigidly, with paint that is fixed to it.

A layer has local coordinates (u, v): u runs along the capsule from its origin, v across it. Its pose in frame t is one
rotation (with a reflection for puppets that face left) and one translation, from which colours, labels, flow and
visibility all follow.

Shapes: T frames, N pixels, L layers. Lengths are pixels, except in paint, where they are body heights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Number = float | Floats
Colour = tuple[int, int, int]


class Mark(Protocol):
    """A painted shape on a layer."""

    def __call__(self, u: Floats, v: Floats) -> Floats:
        """Signed distance to the shape in body heights, negative inside."""


@dataclass(frozen=True)
class HalfPlane:
    """All points with ``along_u * u + along_v * v > start``; (along_u, along_v) has length one."""

    start: float
    along_u: float = 1.0
    along_v: float = 0.0

    def __call__(self, u: Floats, v: Floats) -> Floats:
        """Signed distance."""
        return self.start - (self.along_u * u + self.along_v * v)


@dataclass(frozen=True)
class Band:
    """A ring around the limb: ``|u - centre| < width / 2``."""

    centre: float
    width: float

    def __call__(self, u: Floats, v: Floats) -> Floats:
        """Signed distance."""
        distance: Floats = np.abs(u - self.centre) - self.width / 2
        return distance


@dataclass(frozen=True)
class Stripes:
    """Rings around the limb, or lines along it, one per ``period``, each half a period wide."""

    period: float
    lengthwise: bool = False

    def __call__(self, u: Floats, v: Floats) -> Floats:
        """Signed distance."""
        across = (v if self.lengthwise else u) / self.period
        distance: Floats = (np.abs(across - np.round(across)) - 0.25) * self.period
        return distance


@dataclass(frozen=True)
class Dots:
    """Round dots on a square grid."""

    period: float
    radius: float

    def __call__(self, u: Floats, v: Floats) -> Floats:
        """Signed distance."""
        du = u - self.period * np.round(u / self.period)
        dv = v - self.period * np.round(v / self.period)
        distance: Floats = np.sqrt(du * du + dv * dv) - self.radius
        return distance


@dataclass(frozen=True)
class Spot:
    """One ellipse, ``radius`` along v and ``radius * stretch`` along u."""

    u: float
    v: float
    radius: float
    stretch: float = 1.0

    def __call__(self, u: Floats, v: Floats) -> Floats:
        """Signed distance (exact for a circle)."""
        du = (u - self.u) / self.stretch
        dv = v - self.v
        distance: Floats = np.sqrt(du * du + dv * dv) - self.radius
        return distance


@dataclass(frozen=True)
class Paint:
    """A base colour, and marks painted over it in order; colours are 8-bit RGB."""

    base: Colour
    marks: tuple[tuple[Mark, Colour], ...] = ()

    def __call__(self, u: Floats, v: Floats, pixel: float) -> Floats:
        """Colours in [-1, 1] at local points (N,) in body heights: (3, N), or (3, 1) without marks.

        ``pixel`` is the size of a pixel in body heights; marks are anti-aliased over one pixel.
        """
        colours = rgb(self.base)[:, None]
        for mark, colour in self.marks:
            cover = np.minimum(np.maximum(0.5 - mark(u, v) / pixel, 0), 1)
            colours = colours + cover * (rgb(colour)[:, None] - colours)
        return colours

    def darker(self, share: float) -> Paint:
        """The same paint with every colour scaled by ``share``."""
        return Paint(dim(self.base, share), tuple((mark, dim(colour, share)) for mark, colour in self.marks))


def rgb(colour: Colour) -> Floats:
    """Convert 8-bit RGB to (3,) float32 in [-1, 1]."""
    return np.array(colour, np.float32) / 127.5 - 1


def dim(colour: Colour, share: float) -> Colour:
    """Scale the brightness of a colour."""
    red, green, blue = (round(channel * share) for channel in colour)
    return red, green, blue


@dataclass(frozen=True)
class Layer:
    """A capsule over time: ``origin`` (T, 2) and unit vector ``axis`` (T, 2), both (x, y) in float64.

    side: 1 or -1; v points to ``side * (axis_y, -axis_x)``. unit: pixels per body height, in which its paint is
    measured.
    """

    origin: Floats
    axis: Floats
    length: float
    start_radius: float
    end_radius: float
    side: int
    unit: float
    paint: Paint
    label: int
    instance: int

    @cached_property
    def across(self) -> Floats:
        """Unit vector of v, (T, 2)."""
        across: Floats = self.axis[:, ::-1] * (self.side, -self.side)
        return across

    @property
    def shape(self) -> Floats:
        """Length, start radius and end radius, (3,) float32: the last arguments of ``depth``."""
        return np.array((self.length, self.start_radius, self.end_radius), np.float32)


def depth(u: Floats, v: Floats, length: Number, start_radius: Number, end_radius: Number) -> Floats:
    """Depth of local points inside a tapered capsule; negative outside. Exact for equal radii."""
    along = np.minimum(np.maximum(u, 0), length)
    beside = u - along
    taper = (end_radius - start_radius) / np.maximum(length, 1e-6)
    return along * taper + start_radius - np.sqrt(beside * beside + v * v)


@dataclass(frozen=True)
class Footprint:
    """The N pixels that a layer touches.

    pixel: index into (T, H, W) flattened. u, v: in pixels. cover: in (0, 1].
    """

    pixel: Ints
    u: Floats
    v: Floats
    cover: Floats


def footprint(layer: Layer, height: int, width: int) -> Footprint:
    """Rasterise a layer in all frames at once, in windows of the size of its largest bounding box."""
    reach = max(layer.start_radius, layer.end_radius) + 2
    far_end = layer.origin + layer.length * layer.axis
    low, high = np.minimum(layer.origin, far_end) - reach, np.maximum(layer.origin, far_end) + reach
    window = np.minimum(np.ceil((high - low).max(axis=0)).astype(int) + 1, (width, height))
    corner = np.minimum(np.maximum(np.floor(low).astype(int), 0), (width, height) - window)
    columns = corner[:, :1] + np.arange(window[0])
    rows = corner[:, 1:] + np.arange(window[1])
    dx, dy = columns - layer.origin[:, :1], rows - layer.origin[:, 1:]
    u, v = (
        (dx * e[:, :1]).astype(np.float32)[:, None, :] + (dy * e[:, 1:]).astype(np.float32)[:, :, None]
        for e in (layer.axis, layer.across)
    )
    inner = depth(u, v, *layer.shape) + np.float32(0.5)
    inside = np.flatnonzero(inner > 0)
    frame = np.arange(len(rows))[:, None] * height
    pixel = ((frame + rows) * width)[:, :, None] + columns[:, None, :]
    cover = np.minimum(inner.take(inside), 1)
    return Footprint(pixel.take(inside), u.take(inside), v.take(inside), cover)


def composite(canvas: Floats, plane: Ints | None, layers: Sequence[Layer], first: int) -> None:
    """Paint layers, backmost first, on ``canvas`` (T, 3, H, W); write ``first + i`` into ``plane`` (T, H, W).

    A pixel belongs to the top-most layer that covers its centre, so the plane map has hard edges.
    """
    height, width = canvas.shape[2:]
    flat, channels = canvas.reshape(-1), np.arange(3)[:, None] * (height * width)
    for number, layer in enumerate(layers, start=first):
        touched = footprint(layer, height, width)
        paint = layer.paint(touched.u / layer.unit, touched.v / layer.unit, 1 / layer.unit)
        place = touched.pixel + touched.pixel // (height * width) * (2 * height * width) + channels
        under = flat.take(place)
        flat[place] = under + touched.cover * (paint - under)
        if plane is not None:
            plane.reshape(-1)[touched.pixel[touched.cover > 0.5]] = number
