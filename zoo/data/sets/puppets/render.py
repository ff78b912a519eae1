"""Render a scene: sizes in pixels, the camera, the layers and the frames.

Shapes: T frames, H x W pixels, L layers. Planes are numbered from the back: those of the backdrop, then the layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.data.sets.puppets.backdrop import (
    FINE,
    GROUND,
    PALETTES,
    PLANES,
    ROOMS,
    Backdrop,
    Room,
    Street,
    fine_columns,
    shadow_colour,
)
from zoo.data.sets.puppets.body import Pose, compute_pose
from zoo.data.sets.puppets.body_layers import BodyLayers
from zoo.data.sets.puppets.characters import CHARACTERS
from zoo.data.sets.puppets.config import LABELS
from zoo.data.sets.puppets.layers import Colour, Floats, HalfPlane, Ints, Layer, Paint, Spot, composite
from zoo.data.sets.puppets.motion import Trajectory, compute_trajectory
from zoo.data.sets.puppets.scene import Role, Scene


@dataclass(frozen=True)
class Viewport:
    """Size and proportions of the frame, in pixels."""

    height: int
    width: int
    street: bool

    @property
    def unit(self) -> float:
        """Body height: the figure fills the person view, and leaves room for houses in the street."""
        return 0.6 * self.height if self.street else 0.78 * min(self.height, 1.1 * self.width)

    @property
    def ground(self) -> float:
        """Row of the lead's ground, with room below for the floor and above for raised arms."""
        return 0.9 * self.height if self.street else self.height / 2 + 0.57 * self.unit

    @property
    def horizon(self) -> int:
        """First row of the ground."""
        return round(0.76 * self.height) if self.street else round(self.ground - 0.13 * self.unit)

    @property
    def reach(self) -> float:
        """Maximal distance from the centre at which a puppet is mostly inside the viewport."""
        return max(self.width / 2 - 0.35 * self.unit, 0.0)


@dataclass(frozen=True)
class Rendering:
    """Rendered frames and what they were rendered from.

    canvas: (T, 3, H, W) float32 in [-1, 1]. plane: (T, H, W) uint8, the top-most plane at each pixel's centre. poses:
    one per puppet, the lead first.
    """

    canvas: Floats
    plane: Ints
    backdrop: Backdrop
    layers: list[Layer]
    poses: list[Pose]


def render(scene: Scene, viewport: Viewport, times: Floats) -> Rendering:
    """Render a scene at ``times`` (T,), in seconds."""
    lead = scene.lead
    ahead = _lead_ahead(scene, viewport, times)
    walked = compute_trajectory(lead.timeline, times, lead.phase)
    camera = _camera(scene, viewport, walked, ahead)
    backdrop: Backdrop
    backdrop = (
        Street(camera, viewport.height, viewport.width, viewport.horizon, viewport.unit, scene.style)
        if viewport.street
        else Room(len(times), viewport.height, viewport.width, viewport.horizon, scene.style)
    )
    shadow = _choose_shadow_colour(scene, viewport)
    middle = (viewport.width - 1) / 2
    poses = [_place_puppet(lead, walked.angles, viewport, middle + ahead, 0.0)]
    layers = BodyLayers(poses[0], CHARACTERS[lead.identity], 1, shadow).build()
    scrolled = backdrop.shift[:, -1]
    if scene.guest:
        guest_pose = _guest_pose(scene.guest, scene.guest_start, viewport, times, scrolled)
        poses.append(guest_pose)
        layers += BodyLayers(guest_pose, CHARACTERS[scene.guest.identity], 2, shadow).build()
    if scene.prop:
        x = _wrap_around(-1.15 * scrolled, scene.prop_start, viewport)
        layers += PROPS[scene.prop](x, viewport, len(poses) + 1)
    canvas, plane = backdrop.paint()
    composite(canvas, plane, layers, PLANES)
    return Rendering(canvas, plane, backdrop, layers, poses)


def scroll(scene: Scene, viewport: Viewport, times: Floats) -> Floats:
    """Compute how far the ground moves left from each of ``times`` to the next: (T + 1,) seconds -> (T,) pixels.

    A multiple of 1 / FINE pixel; negative where it moves right. 0 in the person view, whose background is still.
    """
    if not viewport.street:
        return np.zeros(len(times) - 1)
    walked = compute_trajectory(scene.lead.timeline, times, scene.lead.phase)
    camera = _camera(scene, viewport, walked, _lead_ahead(scene, viewport, times))
    moved: Floats = np.diff(fine_columns(camera)[:, GROUND]) / FINE
    return moved


def _lead_ahead(scene: Scene, viewport: Viewport, times: Floats) -> Floats:
    """How far the lead stands to the right of the frame's centre, (T,), in pixels."""
    sway: Floats = scene.lead.facing * scene.sway * viewport.reach * np.sin(scene.pace * times + scene.sway_phase)
    return sway


def _camera(scene: Scene, viewport: Viewport, walked: Trajectory, ahead: Floats) -> Floats:
    """Distance that the camera has moved right, (T,), in pixels. walked, ahead: of the lead, whom it follows."""
    lead = scene.lead
    return lead.facing * walked.travelled * viewport.unit * CHARACTERS[lead.identity].height_scale - ahead


def _place_puppet(role: Role, angles: dict[str, Floats], viewport: Viewport, x: Floats, nearer: float) -> Pose:
    """Pose a puppet at column ``x`` (T,); its ground is ``nearer`` body heights lower in the frame than the lead's."""
    stand = np.stack([x, np.full_like(x, viewport.ground + nearer * viewport.unit)], axis=1)
    return compute_pose(angles, CHARACTERS[role.identity], role.facing, viewport.unit, stand)


def _guest_pose(guest: Role, start: float, viewport: Viewport, times: Floats, scrolled: Floats) -> Pose:
    walked = compute_trajectory(guest.timeline, times, guest.phase)
    unit = viewport.unit * CHARACTERS[guest.identity].height_scale
    x = _wrap_around(guest.facing * walked.travelled * unit - scrolled, start, viewport)
    return _place_puppet(guest, walked.angles, viewport, x, 0.06)


def _wrap_around(x: Floats, start: float, viewport: Viewport) -> Floats:
    """Wrap a column around: it re-enters on the other side after leaving the frame by a margin."""
    margin = 1.0 * viewport.unit
    return (x + start * (viewport.width + 2 * margin)) % (viewport.width + 2 * margin) - margin


def _choose_shadow_colour(scene: Scene, viewport: Viewport) -> Colour:
    if viewport.street:
        return shadow_colour(PALETTES[scene.style % len(PALETTES)].floor)
    return shadow_colour(ROOMS[scene.style % len(ROOMS)][1])


def _build_lamp(x: Floats, viewport: Viewport, instance: int) -> list[Layer]:
    """A street lamp from below the frame's edge to above the puppets' heads."""
    unit, foot = viewport.unit, viewport.height + 0.1 * viewport.unit
    iron, glow = Paint((62, 66, 78)), Paint((255, 236, 170), ((HalfPlane(0.035), (62, 66, 78)),))
    return [
        _upright_capsule(x, foot, 1.38 * unit, (0.05 * unit, 0.03 * unit), iron, viewport, instance),
        _upright_capsule(x, foot, 0.22 * unit, (0.09 * unit, 0.06 * unit), iron, viewport, instance),
        _upright_capsule(x, foot - 1.38 * unit, 0.07 * unit, (0.075 * unit, 0.05 * unit), glow, viewport, instance),
    ]


LEAF: Colour = (128, 182, 112)


def _build_bush(x: Floats, viewport: Viewport, instance: int) -> list[Layer]:
    """Three round clumps of leaves at the lower edge."""
    unit, foot = viewport.unit, viewport.height + 0.02 * viewport.unit
    clumps = (
        (-0.2, 0.03, 0.17, (82, 138, 86)),
        (0.21, 0.02, 0.16, (82, 138, 86)),
        (0.0, 0.1, 0.21, (100, 158, 96)),
    )
    return [
        _upright_capsule(
            x + dx * unit, foot, rise * unit, (radius * unit, radius * unit),
            Paint(green, ((Spot(rise + 0.06, -0.05, 0.035), LEAF), (Spot(rise, 0.08, 0.03), LEAF))),
            viewport, instance,
        )
        for dx, rise, radius, green in clumps
    ]  # fmt: skip


PROPS = {"lamp": _build_lamp, "bush": _build_bush}


def _upright_capsule(
    x: Floats, foot: float, height: float, radii: tuple[float, float], paint: Paint, viewport: Viewport, instance: int
) -> Layer:
    """An upright capsule on row ``foot`` at columns ``x`` (T,)."""
    origin = np.stack([x, np.full_like(x, foot)], axis=1)
    up = np.broadcast_to(np.array([0.0, -1.0]), origin.shape)
    return Layer(origin, up, height, *radii, -1, viewport.unit, paint, LABELS.index("occluder"), instance)
