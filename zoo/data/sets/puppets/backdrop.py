"""The background: a smooth still wall and floor, or a street that scrolls past the camera.

The street has three planes at different distances: sky with clouds, a row of buildings, and the ground. Each is drawn
once per clip as a strip with FINE columns per pixel; a frame takes every FINE-th column from the position of the
camera, so the planes move by exact multiples of 1 / FINE pixel. Everything is a function of the absolute position in
the street, so a longer clip shows the same street.

Shapes: T frames, H x W pixels, K fine columns. Colours are RGB in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from zoo.data.sets.puppets.layers import Colour, Floats, Ints, rgb

SKY, BUILDING, GROUND = range(3)
PLANES = 3
FINE = 4
SPEEDS = (0.2, 0.6, 1.0)
"""Scrolling speed of each plane, relative to the camera's."""


class Backdrop(Protocol):
    """The part of a background that the renderer and the ground truth use."""

    shift: Floats
    """(T, PLANES): the content of a plane at frame t is ``shift[t]`` pixels further left than at shift 0."""

    def paint(self) -> tuple[Floats, Ints]:
        """Paint the frames (T, 3, H, W), float32, and the plane of each pixel (T, H, W), uint8."""

    def plane_at(self, t: int, x: Floats, y: Ints) -> Ints:
        """The plane at points (N,) of frame t, on integer rows y."""


@dataclass(frozen=True)
class Palette:
    """Colours of the street at one time of day."""

    sky_top: Colour
    sky_low: Colour
    cloud: Colour
    floor: Colour
    kerb: Colour
    walls: tuple[Colour, ...]
    window: Colour
    lit: Colour


PALETTES = (
    Palette((112, 184, 226), (206, 232, 238), (250, 252, 252), (198, 190, 178), (156, 150, 146),
         ((226, 168, 132), (236, 204, 150), (164, 190, 176), (206, 142, 132), (176, 176, 200)),
         (110, 144, 170), (246, 240, 208)),
    Palette((236, 168, 132), (250, 222, 178), (255, 240, 218), (196, 174, 162), (150, 128, 128),
         ((186, 116, 106), (214, 150, 118), (150, 120, 136), (226, 180, 136), (128, 118, 146)),
         (96, 92, 124), (255, 232, 150)),
    Palette((150, 206, 196), (226, 240, 220), (252, 254, 246), (206, 200, 178), (160, 156, 142),
         ((240, 214, 170), (150, 186, 166), (226, 170, 150), (130, 160, 170), (214, 196, 186)),
         (96, 130, 136), (250, 242, 200)),
    Palette((92, 98, 152), (196, 160, 186), (214, 190, 212), (150, 142, 158), (112, 106, 126),
         ((112, 98, 138), (138, 112, 146), (88, 96, 136), (160, 122, 142), (104, 118, 150)),
         (70, 70, 108), (255, 222, 136)),
)  # fmt: skip

CHALK: Colour = (236, 230, 214)

ROOMS: tuple[tuple[Colour, Colour], ...] = (
    ((206, 226, 232), (224, 214, 198)),
    ((246, 226, 206), (212, 190, 172)),
    ((220, 230, 210), (200, 206, 184)),
    ((232, 218, 234), (206, 192, 206)),
)
"""Wall and floor of the person view."""


def shadow_colour(floor: Colour) -> Colour:
    """Colour of the floor in a puppet's shadow."""
    red, green, blue = (round(channel * 0.84) for channel in floor)
    return red, green, blue


class Room:
    """A wall above a floor, with a slight gradient, the same in every frame."""

    def __init__(self, frames: int, height: int, width: int, horizon: int, style: int) -> None:
        self.size = (frames, height, width)
        self.horizon = horizon
        self.colours = ROOMS[style % len(ROOMS)]
        self.shift: Floats = np.zeros((frames, PLANES))

    def paint(self) -> tuple[Floats, Ints]:
        """Paint one image and repeat it."""
        frames, height, width = self.size
        wall, floor = (rgb(colour)[:, None, None] for colour in self.colours)
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, width, dtype=np.float32)
        below = np.broadcast_to(np.arange(height)[:, None] >= self.horizon, (height, width))
        picture = np.where(below, floor, wall) + (0.05 - 0.07 * (x * x + 0.7 * y * y))
        plane = np.where(below, GROUND, SKY).astype(np.uint8)
        return np.repeat(picture[None], frames, axis=0), np.repeat(plane[None], frames, axis=0)

    def plane_at(self, t: int, x: Floats, y: Ints) -> Ints:
        """The plane at each point; the wall is called sky."""
        return np.where(y >= self.horizon, GROUND, SKY)


class Street:
    """A scrolling street. camera: (T,), distance that the camera has moved right. unit: body height in pixels."""

    def __init__(self, camera: Floats, height: int, width: int, horizon: int, unit: float, seed: int) -> None:
        self.size = (len(camera), height, width)
        self.horizon, self.unit, self.seed = horizon, unit, seed
        self.palette = PALETTES[seed % len(PALETTES)]
        self.columns = fine_columns(camera)
        self.shift: Floats = self.columns / FINE
        self.first = self.columns.min(axis=0)
        self.spans = self.columns.max(axis=0) - self.first + (width - 1) * FINE + 1
        self.walls = self._buildings()

    def paint(self) -> tuple[Floats, Ints]:
        """Paint buildings over the sky above the horizon, and the ground below."""
        frames, height, width = self.size
        sky, walls, ground = (_split_by_phase(strip) for strip in (self._sky(), self.walls, self._ground()))
        solid = walls[:, 3] > 0.5
        clear = 1 - walls[:, 3]
        canvas = np.empty((frames, 3, height, width), np.float32)
        plane = np.full((frames, height, width), GROUND, np.uint8)
        for t, starts in enumerate(self.columns - self.first):
            (a, far), (b, middle), (c, near) = (
                (start % FINE, slice(start // FINE, start // FINE + width)) for start in starts
            )
            np.multiply(sky[a, :, :, far], clear[b, :, middle], out=canvas[t, :, : self.horizon])
            canvas[t, :, : self.horizon] += walls[b, :3, :, middle]
            canvas[t, :, self.horizon :] = ground[c, :, :, near]
            plane[t, : self.horizon] = solid[b, :, middle]
        return canvas, plane

    def plane_at(self, t: int, x: Floats, y: Ints) -> Ints:
        """The plane at each point: ground below the horizon; above it, a building, or sky where there is none."""
        start = self.columns[t, BUILDING] - self.first[BUILDING]
        column = np.round(x * FINE).astype(int) + start
        column = np.minimum(np.maximum(column, 0), self.spans[BUILDING] - 1)
        solid = self.walls[3, np.minimum(y, self.horizon - 1), column] > 0.5
        return np.where(y >= self.horizon, GROUND, np.where(solid, BUILDING, SKY))

    def _column_positions(self, plane: int, margin: int = 0) -> Floats:
        """Absolute positions of the fine columns of a plane's strip, in pixels, (K + 2 margin,)."""
        ends = self.first[plane] - margin, self.first[plane] + self.spans[plane] + margin
        return np.arange(*ends) / FINE

    def _sky(self) -> Floats:
        """A vertical gradient and flat-bottomed clouds of three puffs, (3, horizon, K)."""
        y = np.arange(self.horizon, dtype=np.float32)[:, None]
        cell_width = 1.15 * self.unit
        cell, place = _divide_into_cells(self._column_positions(SKY), cell_width)
        size = (0.6 + 0.5 * self._hash(cell, 1)) * self.unit
        middle = cell_width * (0.4 + 0.2 * self._hash(cell, 2))
        base = (self.unit * (0.22 + 0.3 * self._hash(cell, 3))).astype(np.float32)
        cover = base - y
        puffs = np.full_like(cover, -1e6)
        for offset, radius in ((-0.17, 0.085), (0.0, 0.13), (0.18, 0.095)):
            dx = (place - middle - offset * size).astype(np.float32)
            round_part = (radius * size).astype(np.float32)
            dy = cover - 0.3 * round_part
            puffs = np.maximum(puffs, round_part - np.sqrt(dx * dx + dy * dy))
        cover = 0.85 * np.clip(np.minimum(puffs, cover) + 0.5, 0, 1)
        top, low, white = (
            rgb(colour)[:, None, None] for colour in (self.palette.sky_top, self.palette.sky_low, self.palette.cloud)
        )
        sky = top + y / max(self.horizon - 1, 1) * (low - top)
        clouded: Floats = sky + cover * (white - sky)
        return clouded

    def _buildings(self) -> Floats:
        """Premultiplied RGB and alpha, (4, horizon, K): flat houses with cornices and windows."""
        unit, rows = self.unit, np.arange(self.horizon)[:, None]
        width = 0.62 * unit
        cell, place = _divide_into_cells(self._column_positions(BUILDING, margin=FINE // 2), width)
        right = width * (0.84 + 0.16 * self._hash(cell, 4))
        top = np.round(self.horizon - unit * (0.35 + 0.75 * self._hash(cell, 5))).astype(int)
        walls = np.array([rgb(colour) for colour in self.palette.walls])
        wall = walls[(self._hash(cell, 6) * len(walls)).astype(int)].T[:, None]
        glass = np.where(self._hash(cell, 7) < 0.5, *(rgb(c)[:, None] for c in (self.palette.lit, self.palette.window)))
        pane = (np.abs((place / (width / 4)) % 1 - 0.5) < 0.27) & (np.abs(place - right / 2) < 0.4 * right)
        storey, under_roof = round(0.2 * unit), max(round(0.09 * unit), 2)
        below = rows - top
        lit_rows = ((below - under_roof) % storey < 0.55 * storey) & (rows < self.horizon - 0.06 * unit)
        solid = (below >= 0) & (place < right)
        house = np.zeros((4, *solid.shape), np.float32)
        np.copyto(house[:3], wall, where=solid)
        np.copyto(house[:3], 0.5 * wall, where=solid & (below < max(0.04 * unit, 1)))
        np.copyto(house[:3], glass[:, None], where=solid & lit_rows & pane & (below >= under_roof))
        house[3] = solid
        return _area_mean(house)

    def _ground(self) -> Floats:
        """Pavement with joints, a kerb, and a road with dashes, (3, H - horizon, K)."""
        height, unit = self.size[1], self.unit
        rows = np.arange(self.horizon, height)[:, None]
        place = self._column_positions(GROUND, margin=FINE // 2)
        kerb = self.horizon + round(0.66 * (height - self.horizon))
        road = kerb + max(round(0.03 * unit), 1)
        joint = place % (0.42 * unit) < max(0.025 * unit, 1.0)
        dash = (place % (0.7 * unit) < 0.35 * unit) & (np.abs(rows - (kerb + height) / 2) < 0.02 * unit + 0.5)
        slab, asphalt = (rgb(colour)[:, None, None] for colour in (self.palette.floor, self.palette.kerb))
        pavement = np.where(joint, 0.75 * slab + 0.25 * asphalt, slab)
        street = np.where(dash, rgb(CHALK)[:, None, None], asphalt)
        strip = np.where(rows < kerb, pavement, np.where(rows < road, rgb(CHALK)[:, None, None], street))
        return _area_mean(strip)

    def _hash(self, cell: Ints, salt: int) -> Floats:
        """Hash each cell (N,) to a number in [0, 1); a pure function."""
        mixed = (cell + 1_000_003 * salt + 7_368_787 * self.seed).astype(np.uint64)
        for _ in range(2):  # two rounds of the finaliser of splitmix64
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (mixed >> np.uint64(40)).astype(np.float64) / 2**24


def fine_columns(camera: Floats) -> Ints:
    """How many fine columns each plane has moved left for positions of the camera in pixels: (T,) -> (T, PLANES)."""
    return np.round(camera[:, None] * SPEEDS * FINE).astype(int)


def _divide_into_cells(places: Floats, width: float) -> tuple[Ints, Floats]:
    """Number of the cell that each position (N,) lies in, and the position within it."""
    cell = np.floor(places / width)
    return cell.astype(np.int64), places - cell * width


def _area_mean(fine: Floats) -> Floats:
    """Mean over the FINE columns of the pixel centred on each column: (C, h, K + FINE) to (C, h, K)."""
    count = fine.shape[2] - FINE
    total = fine[:, :, :count].astype(np.float32)
    for offset in range(1, FINE):
        total += fine[:, :, offset : offset + count]
    total /= FINE
    return total


def _split_by_phase(strip: Floats) -> Floats:
    """Split a strip by phase, so that copies are contiguous: (C, h, K) to (FINE, C, h, K / FINE)."""
    channels, rows, columns = strip.shape
    phases = np.zeros((FINE, channels, rows, -(-columns // FINE)), np.float32)
    for phase, side_by_side in enumerate(phases):
        part = strip[:, :, phase::FINE]
        side_by_side[:, :, : part.shape[2]] = part
    return phases
