"""Forward kinematics: from joint angles to joints, with the lower foot on the ground.

Shapes: T frames, J joints. Positions are (x, y) with y down, in pixels unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from zoo.data.sets.puppets.characters import Identity
from zoo.data.sets.puppets.layers import Floats

SIDES = ("near", "far")
LIMBS = (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
JOINTS = (
    "head",
    "neck",
    "pelvis",
    *(f"{side} {joint}" for side in SIDES for limb in LIMBS for joint in limb),
)
BONES = (
    ("neck", "head"),
    ("pelvis", "neck"),
    *((f"{side} {upper}", f"{side} {lower}") for side in SIDES for limb in LIMBS for upper, lower in pairwise(limb)),
)

# Lengths in body heights.
THIGH, SHIN, FOOT, SPINE, HALF_ARM = 0.215, 0.2, 0.075, 0.25, 0.145
NECK_TO_HEAD = 0.105
SHOULDER_HEIGHT, SHOULDERS_APART, HIPS_APART = 0.215, 0.078, 0.045
ANKLE_RADIUS = 0.036


@dataclass(frozen=True)
class Pose:
    """Joints of a body, name -> (T, 2), and directions (T, 2) that the joints alone do not determine."""

    joints: dict[str, Floats]
    head_up: Floats
    near_foot: Floats
    far_foot: Floats
    skirt: Floats
    ground: Floats  # (T, 2), the point below the pelvis on the ground
    facing: int
    unit: float

    def array(self) -> Floats:
        """Joints in the order of JOINTS, (T, J, 2)."""
        return np.stack([self.joints[name] for name in JOINTS], axis=1)


def compute_pose(angle: dict[str, Floats], identity: Identity, facing: int, unit: float, stand: Floats) -> Pose:
    """Compute the joints of a body. stand: (T, 2), the ground below the pelvis. unit: body height in pixels.

    The pelvis is placed such that the lower foot is ``lift`` above the ground.
    """
    unit = unit * identity.height_scale
    turn = angle["turn"]
    mirror = np.array([facing, 1.0])

    def along(radians: Floats) -> Floats:
        direction: Floats = np.stack([np.sin(radians), np.cos(radians)], axis=1) * mirror
        return direction

    up = -along(-angle["lean"])
    head_up = -along(-0.55 * angle["lean"])
    sideways = along(np.full_like(turn, np.pi / 2)) * turn[:, None]
    joints: dict[str, Floats] = {"pelvis": np.zeros((len(turn), 2))}
    joints["neck"] = joints["pelvis"] + SPINE * up
    joints["head"] = joints["neck"] + NECK_TO_HEAD * head_up
    feet = {}
    for name, sign in (("near", 1), ("far", -1)):
        shoulder, elbow = angle[f"{name}_shoulder"], angle[f"{name}_elbow"]
        hip, knee = angle[f"{name}_hip"], angle[f"{name}_knee"]
        joints[f"{name} shoulder"] = SHOULDER_HEIGHT * up + sign * SHOULDERS_APART * sideways
        joints[f"{name} elbow"] = joints[f"{name} shoulder"] + HALF_ARM * along(shoulder)
        joints[f"{name} wrist"] = joints[f"{name} elbow"] + HALF_ARM * along(shoulder + elbow)
        joints[f"{name} hip"] = sign * HIPS_APART * sideways
        joints[f"{name} knee"] = joints[f"{name} hip"] + THIGH * along(hip)
        joints[f"{name} ankle"] = joints[f"{name} knee"] + SHIN * along(hip - knee)
        outward = np.where(sign > 0, np.pi / 2, np.pi / 2 - np.pi * turn)
        feet[name] = along(outward + 0.6 * (hip - knee) * (1 - turn))
    ankles = [joints[f"{name} ankle"][:, 1] for name in feet]
    toes = [ankle + FOOT * feet[name][:, 1] for ankle, name in zip(ankles, feet, strict=True)]
    lowest = np.max([*ankles, *toes], axis=0) + ANKLE_RADIUS
    root = stand - unit * np.stack([np.zeros_like(lowest), lowest + angle["lift"]], axis=1)
    return Pose(
        joints={name: root + unit * place for name, place in joints.items()},
        head_up=head_up,
        near_foot=feet["near"],
        far_foot=feet["far"],
        skirt=along((angle["near_hip"] + angle["far_hip"]) / 2),
        ground=stand,
        facing=facing,
        unit=unit,
    )
