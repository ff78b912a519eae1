"""Build the layers of a puppet from its pose: every limb is a capsule, in drawing order.

Shapes: T frames. Positions are pixels, lengths and radii body heights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zoo.data.sets.puppets import characters
from zoo.data.sets.puppets.body import ANKLE_RADIUS, FOOT, HALF_ARM, SHIN, SPINE, THIGH, Pose
from zoo.data.sets.puppets.characters import Identity, Place, Trim
from zoo.data.sets.puppets.config import LABELS
from zoo.data.sets.puppets.layers import Colour, Floats, Layer, Paint

FAR_SHADE = 0.84
SHADOW_LENGTH = 0.32


@dataclass(frozen=True)
class BodyLayers:
    """Builds the layers of one puppet. instance: its number. shadow: colour of the ground in its shadow."""

    body: Pose
    identity: Identity
    instance: int
    shadow: Colour

    def build(self) -> list[Layer]:
        """Build all layers, backmost first: shadow, far limbs, torso, head, near leg, near arm."""
        return [
            self._shadow(),
            *self._trims("behind"),
            *self._arm("far"),
            *self._leg("far"),
            self._torso(),
            self._head(),
            *self._trims("front"),
            *self._leg("near"),
            *self._skirt(),
            *self._arm("near"),
        ]

    def _capsule(
        self,
        origin: Floats,
        direction: Floats,
        length: float,
        radii: tuple[float, float],
        paint: Paint,
        label: str,
        upright: bool = False,
    ) -> Layer:
        """Build a layer whose v points to the puppet's front, whether it hangs down or stands ``upright``."""
        body = self.body
        return Layer(
            origin=origin,
            axis=direction / np.linalg.norm(direction, axis=1, keepdims=True),
            length=length * body.unit,
            start_radius=radii[0] * body.unit,
            end_radius=radii[1] * body.unit,
            side=-body.facing if upright else body.facing,
            unit=body.unit,
            paint=paint,
            label=LABELS.index(label),
            instance=self.instance if label != "ground" else 0,
        )

    def _joints(self, side: str, *names: str) -> list[Floats]:
        return [self.body.joints[f"{side} {name}"] for name in names]

    def _arm(self, side: str) -> list[Layer]:
        shoulder, elbow, wrist = self._joints(side, "shoulder", "elbow", "wrist")
        upper = _shade(characters.upper_arm_paint(self.identity, HALF_ARM), side)
        lower = _shade(characters.forearm_paint(self.identity, HALF_ARM), side)
        return [
            self._capsule(shoulder, elbow - shoulder, HALF_ARM, (0.043, 0.037), upper, f"{side} upper arm"),
            self._capsule(elbow, wrist - elbow, HALF_ARM, (0.037, 0.036), lower, f"{side} forearm"),
        ]

    def _leg(self, side: str) -> list[Layer]:
        hip, knee, ankle = self._joints(side, "hip", "knee", "ankle")
        toes = self.body.near_foot if side == "near" else self.body.far_foot
        upper = _shade(characters.thigh_paint(self.identity, THIGH), side)
        lower = _shade(characters.shin_paint(self.identity), side)
        shoe = _shade(Paint(self.identity.shoes), side)
        width = 0.5 + 0.5 * self.identity.width_scale
        knee_radius = 0.047 * width
        return [
            self._capsule(ankle, toes, FOOT, (ANKLE_RADIUS, 0.03), shoe, f"{side} lower leg"),
            self._capsule(knee, ankle - knee, SHIN - 0.02, (knee_radius, 0.036), lower, f"{side} lower leg"),
            self._capsule(hip, knee - hip, THIGH, (0.059 * width, knee_radius), upper, f"{side} thigh"),
        ]

    def _torso(self) -> Layer:
        pelvis, neck = self.body.joints["pelvis"], self.body.joints["neck"]
        radii = 0.082 * self.identity.width_scale, 0.085 * self.identity.width_scale
        paint = characters.torso_paint(self.identity)
        return self._capsule(pelvis, neck - pelvis, SPINE - 0.035, radii, paint, "torso", upright=True)

    def _skirt(self) -> list[Layer]:
        if not self.identity.skirt:
            return []
        radii = 0.07 * self.identity.width_scale, 0.115 * self.identity.width_scale
        pelvis, paint = self.body.joints["pelvis"], characters.skirt_paint(self.identity)
        return [self._capsule(pelvis, self.body.skirt, self.identity.skirt - 0.06, radii, paint, "torso")]

    def _head(self) -> Layer:
        middle, radii = self.body.joints["head"], (self.identity.head, self.identity.head * 0.97)
        paint = characters.head_paint(self.identity)
        return self._capsule(middle, self.body.head_up, 0.02, radii, paint, "head", upright=True)

    def _trims(self, place: Place) -> list[Layer]:
        return [self._trim(trim) for trim in self.identity.trims if trim.place == place]

    def _trim(self, trim: Trim) -> Layer:
        """Build a trim; it is fixed in the head's (u, v), so it turns with the head."""
        up = self.body.head_up
        front = -self.body.facing * np.stack([up[:, 1], -up[:, 0]], axis=1)
        middle = self.body.joints["head"]
        start, end = (middle + self.body.unit * (u * up + v * front) for u, v in (trim.start, trim.end))
        length = math.dist(trim.start, trim.end)
        direction = end - start if length else up
        return self._capsule(start, direction, length, trim.radii, trim.paint, "head", upright=True)

    def _shadow(self) -> Layer:
        """Build the shadow, a flat capsule on the ground with the label of the ground."""
        west = self.body.ground - [SHADOW_LENGTH / 2 * self.body.unit, 0.0]
        east = np.broadcast_to([1.0, 0.0], west.shape)
        return self._capsule(west, east, SHADOW_LENGTH, (0.022, 0.022), Paint(self.shadow), "ground")


def _shade(paint: Paint, side: str) -> Paint:
    return paint if side == "near" else paint.darker(FAR_SHADE)
