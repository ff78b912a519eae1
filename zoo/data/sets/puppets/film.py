"""From a scene to a picture: sizes in pixels, the camera, the layers, and the painted frames.

Shapes: T frames, H x W pixels, L layers. Planes are numbered from the back: those of the backdrop, then the
layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.data.sets.puppets.backdrop import MOODS, PLANES, ROOMS, Backdrop, Room, Street, shadow_colour
from zoo.data.sets.puppets.body import Pose, pose
from zoo.data.sets.puppets.config import LABELS
from zoo.data.sets.puppets.layers import Colour, Floats, HalfPlane, Ints, Layer, Paint, Spot, composite
from zoo.data.sets.puppets.motion import course
from zoo.data.sets.puppets.scene import Role, Scene
from zoo.data.sets.puppets.tailor import Tailor
from zoo.data.sets.puppets.wardrobe import WARDROBE


@dataclass(frozen=True)
class Frame:
    """The frame's measures in pixels."""

    height: int
    width: int
    street: bool

    @property
    def unit(self) -> float:
        """Body height: the figure fills the person view, and leaves room for houses in the street."""
        return 0.6 * self.height if self.street else 0.78 * min(self.height, 1.1 * self.width)

    @property
    def ground(self) -> float:
        """The lead's ground, leaving room below for the floor and above for raised arms."""
        return 0.9 * self.height if self.street else self.height / 2 + 0.57 * self.unit

    @property
    def horizon(self) -> int:
        """First row of the ground."""
        return round(0.76 * self.height) if self.street else round(self.ground - 0.13 * self.unit)

    @property
    def reach(self) -> float:
        """How far from the middle a puppet can stand and still be mostly inside."""
        return max(self.width / 2 - 0.35 * self.unit, 0.0)


@dataclass(frozen=True)
class Picture:
    """Painted frames and what they were painted from.

    ``canvas`` (T, 3, H, W) float32 in [-1, 1]; ``plane`` (T, H, W) uint8, the top-most plane at each
    pixel's centre; ``poses``: one a puppet, the lead first.
    """

    canvas: Floats
    plane: Ints
    backdrop: Backdrop
    layers: list[Layer]
    poses: list[Pose]


def shoot(scene: Scene, frame: Frame, times: Floats) -> Picture:
    """Film a scene at ``times`` (T,), seconds."""
    lead = scene.lead
    ahead = lead.facing * scene.sway * frame.reach * np.sin(scene.pace * times + scene.sway_phase)
    walked = course(lead.timeline, times, lead.phase)
    camera = lead.facing * walked.travelled * frame.unit * WARDROBE[lead.identity].tall - ahead
    backdrop: Backdrop
    backdrop = (
        Street(camera, frame.height, frame.width, frame.horizon, frame.unit, scene.style)
        if frame.street
        else Room(len(times), frame.height, frame.width, frame.horizon, scene.style)
    )
    shadow = _shadow(scene, frame)
    middle = (frame.width - 1) / 2
    poses = [_stand(lead, walked.angles, frame, middle + ahead, 0.0)]
    layers = Tailor(poses[0], WARDROBE[lead.identity], 1, shadow).dress()
    way = backdrop.shift[:, -1]
    if scene.guest:
        guest_pose = _guest_pose(scene.guest, scene.guest_start, frame, times, way)
        poses.append(guest_pose)
        layers += Tailor(guest_pose, WARDROBE[scene.guest.identity], 2, shadow).dress()
    if scene.prop:
        x = _come_round(-1.15 * way, scene.prop_start, frame)
        layers += PROPS[scene.prop](x, frame, len(poses) + 1)
    canvas, plane = backdrop.paint()
    composite(canvas, plane, layers, PLANES)
    return Picture(canvas, plane, backdrop, layers, poses)


def _stand(role: Role, angles: dict[str, Floats], frame: Frame, x: Floats, nearer: float) -> Pose:
    """A puppet at column ``x`` (T,); ``nearer`` is how many body heights lower in the frame its ground is."""
    stand = np.stack([x, np.full_like(x, frame.ground + nearer * frame.unit)], axis=1)
    return pose(angles, WARDROBE[role.identity], role.facing, frame.unit, stand)


def _guest_pose(guest: Role, start: float, frame: Frame, times: Floats, way: Floats) -> Pose:
    walked = course(guest.timeline, times, guest.phase)
    unit = frame.unit * WARDROBE[guest.identity].tall
    x = _come_round(guest.facing * walked.travelled * unit - way, start, frame)
    return _stand(guest, walked.angles, frame, x, 0.06)


def _come_round(x: Floats, start: float, frame: Frame) -> Floats:
    """A column that re-enters on the other side after leaving the frame well behind."""
    margin = 1.0 * frame.unit
    return (x + start * (frame.width + 2 * margin)) % (frame.width + 2 * margin) - margin


def _shadow(scene: Scene, frame: Frame) -> Colour:
    if frame.street:
        return shadow_colour(MOODS[scene.style % len(MOODS)].floor)
    return shadow_colour(ROOMS[scene.style % len(ROOMS)][1])


def _lamp(x: Floats, frame: Frame, instance: int) -> list[Layer]:
    """A street lamp from below the frame's edge to above the puppets' heads."""
    unit, foot = frame.unit, frame.height + 0.1 * frame.unit
    iron, glow = Paint((62, 66, 78)), Paint((255, 236, 170), ((HalfPlane(0.035), (62, 66, 78)),))
    return [
        _fixed(x, foot, 1.38 * unit, (0.05 * unit, 0.03 * unit), iron, frame, instance),
        _fixed(x, foot, 0.22 * unit, (0.09 * unit, 0.06 * unit), iron, frame, instance),
        _fixed(x, foot - 1.38 * unit, 0.07 * unit, (0.075 * unit, 0.05 * unit), glow, frame, instance),
    ]


LEAF: Colour = (128, 182, 112)


def _bush(x: Floats, frame: Frame, instance: int) -> list[Layer]:
    """Three round clumps of leaves at the lower edge."""
    unit, foot = frame.unit, frame.height + 0.02 * frame.unit
    clumps = (
        (-0.2, 0.03, 0.17, (82, 138, 86)),
        (0.21, 0.02, 0.16, (82, 138, 86)),
        (0.0, 0.1, 0.21, (100, 158, 96)),
    )
    return [
        _fixed(
            x + dx * unit, foot, rise * unit, (radius * unit, radius * unit),
            Paint(green, ((Spot(rise + 0.06, -0.05, 0.035), LEAF), (Spot(rise, 0.08, 0.03), LEAF))),
            frame, instance,
        )
        for dx, rise, radius, green in clumps
    ]  # fmt: skip


PROPS = {"lamp": _lamp, "bush": _bush}


def _fixed(
    x: Floats, foot: float, tall: float, radii: tuple[float, float], paint: Paint, frame: Frame, instance: int
) -> Layer:
    """An upright capsule on row ``foot`` at columns ``x`` (T,)."""
    origin = np.stack([x, np.full_like(x, foot)], axis=1)
    up = np.broadcast_to(np.array([0.0, -1.0]), origin.shape)
    return Layer(origin, up, tall, *radii, -1, frame.unit, paint, LABELS.index("occluder"), instance)
