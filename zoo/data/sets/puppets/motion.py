"""The ten actions as periodic joint angles, and the trajectory of a puppet that performs them.

Angles are radians from straight down, positive to the front (for the torso: from straight up). Elbows and knees are
relative to the segment above. ``near`` is the side towards the viewer when the puppet walks, and its front side when it
faces the viewer (``turn`` = 1, shoulders and hips apart).

Shapes: T frames. Times are seconds, lengths body heights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.data.sets.puppets.config import ACTIONS
from zoo.data.sets.puppets.layers import Floats, Ints

BLEND = 0.2
"""Duration of the blend from one action to the next; the label changes when the blend begins."""
TICK = 0.01
"""Step of the integration of speeds, in seconds: fixed, so a path does not depend on the frame rate."""

TAU = 2 * np.pi
ActionTimeline = Callable[[Floats], Ints]
"""Maps times in seconds to ids of actions."""


@dataclass(frozen=True)
class Posture:
    """Joint angles, each (T,) or a constant. ``lift`` is the height of the lower foot above the ground."""

    turn: Floats | float = 0.0
    lean: Floats | float = 0.0
    near_shoulder: Floats | float = 0.0
    near_elbow: Floats | float = 0.0
    far_shoulder: Floats | float = 0.0
    far_elbow: Floats | float = 0.0
    near_hip: Floats | float = 0.0
    near_knee: Floats | float = 0.0
    far_hip: Floats | float = 0.0
    far_knee: Floats | float = 0.0
    lift: Floats | float = 0.0


ANGLES = tuple(Posture.__dataclass_fields__)


def _hop_height(phase: Floats) -> Floats:
    """Height of a hop, 0 to 1: in the air for the first half of the period, on the ground for the second."""
    return np.maximum(np.sin(phase), 0)


def walk(phase: Floats) -> Posture:
    """Legs and arms swing against each other; the knee bends while its leg comes forward."""
    swing, forward = np.sin(phase), np.cos(phase)
    return Posture(
        lean=0.05, near_shoulder=-0.5 * swing, far_shoulder=0.5 * swing, near_elbow=0.3, far_elbow=0.3,
        near_hip=0.08 + 0.48 * swing, far_hip=0.08 - 0.48 * swing,
        near_knee=0.12 + 0.7 * np.maximum(forward, 0), far_knee=0.12 + 0.7 * np.maximum(-forward, 0),
    )  # fmt: skip


def run(phase: Floats) -> Posture:
    """A wide stride with bent elbows and high heels; both feet leave the ground twice a period."""
    swing, forward = np.sin(phase), np.cos(phase)
    return Posture(
        lean=0.28, near_shoulder=-0.15 - 0.95 * swing, far_shoulder=-0.15 + 0.95 * swing,
        near_elbow=1.6, far_elbow=1.6, near_hip=0.25 + 0.85 * swing, far_hip=0.25 - 0.85 * swing,
        near_knee=0.3 + 1.4 * np.maximum(forward, 0), far_knee=0.3 + 1.4 * np.maximum(-forward, 0),
        lift=0.06 * swing * swing,
    )  # fmt: skip


def skip(phase: Floats) -> Posture:
    """Hops forward on the near leg; the far knee stays up."""
    air = _hop_height(phase)
    return Posture(
        lean=0.1, near_shoulder=-0.5 + 0.5 * air, far_shoulder=0.7 + 0.4 * air, near_elbow=0.7, far_elbow=0.7,
        near_hip=0.05 + 0.35 * np.cos(phase), near_knee=0.15 + 0.45 * (1 - air),
        far_hip=1.25 + 0.2 * air, far_knee=1.75, lift=0.12 * air,
    )  # fmt: skip


def side(phase: Floats) -> Posture:
    """Gallops sideways, facing the viewer: legs apart on the ground, together in the air."""
    apart = 0.5 - 0.5 * np.sin(phase)
    return Posture(
        turn=1.0, near_shoulder=0.75 - 0.15 * apart, far_shoulder=-0.75 + 0.15 * apart,
        near_elbow=-1.5, far_elbow=1.5, near_hip=0.02 + 0.55 * apart, far_hip=-0.02 - 0.55 * apart,
        near_knee=0.15 * apart, far_knee=-0.15 * apart, lift=0.07 * _hop_height(phase),
    )  # fmt: skip


def jump(phase: Floats) -> Posture:
    """Leaps forward from both feet, arms thrown ahead, from a crouch."""
    air, crouch = _hop_height(phase), _hop_height(-phase)
    return Posture(
        lean=0.12 + 0.45 * crouch, near_shoulder=0.25 + 1.6 * air - 1.3 * crouch,
        far_shoulder=0.15 + 1.6 * air - 1.3 * crouch, near_elbow=0.25, far_elbow=0.25,
        near_hip=0.05 + 0.55 * air + 0.85 * crouch, far_hip=0.05 + 0.47 * air + 0.85 * crouch,
        near_knee=0.1 + 0.75 * air + 1.5 * crouch, far_knee=0.1 + 0.75 * air + 1.5 * crouch, lift=0.17 * air,
    )  # fmt: skip


def pjump(phase: Floats) -> Posture:
    """Jumps on the spot, facing the viewer, arms at the sides, knees outward in the crouch."""
    air, crouch = _hop_height(phase), _hop_height(-phase)
    return Posture(
        turn=1.0, near_shoulder=0.2 + 0.15 * air, far_shoulder=-0.2 - 0.15 * air,
        near_elbow=0.1 - 0.35 * crouch, far_elbow=-0.1 + 0.35 * crouch,
        near_hip=0.03 + 0.6 * crouch, far_hip=-0.03 - 0.6 * crouch,
        near_knee=1.15 * crouch, far_knee=-1.15 * crouch, lift=0.14 * air,
    )  # fmt: skip


def jack(phase: Floats) -> Posture:
    """Jumping jack: arms and legs open and close together."""
    wide = 0.5 - 0.5 * np.cos(phase)
    return Posture(
        turn=1.0, near_shoulder=0.22 + 2.45 * wide, far_shoulder=-0.22 - 2.45 * wide,
        near_elbow=0.12, far_elbow=-0.12, near_hip=0.03 + 0.5 * wide, far_hip=-0.03 - 0.5 * wide,
        lift=0.06 * np.sin(phase) ** 2,
    )  # fmt: skip


def bend(phase: Floats) -> Posture:
    """Bows down to the toes and comes up again."""
    down = 0.5 - 0.5 * np.cos(phase)
    return Posture(
        lean=0.03 + 1.75 * down, near_shoulder=0.08 + 0.25 * down, far_shoulder=-0.02 + 0.15 * down,
        near_elbow=0.12, far_elbow=0.12, near_hip=-0.22 * down, far_hip=-0.2 * down,
        near_knee=0.04, far_knee=0.04,
    )  # fmt: skip


def wave1(phase: Floats) -> Posture:
    """Waves one raised arm, facing the viewer."""
    return Posture(
        turn=1.0, near_shoulder=2.0 + 0.12 * np.sin(phase), near_elbow=0.65 + 0.6 * np.sin(phase),
        far_shoulder=-0.2, far_elbow=0.08, near_hip=0.1, far_hip=-0.1,
    )  # fmt: skip


def wave2(phase: Floats) -> Posture:
    """Waves both arms, facing the viewer."""
    high = 0.5 - 0.5 * np.cos(phase)
    return Posture(
        turn=1.0, near_shoulder=1.5 + 0.95 * high, far_shoulder=-1.5 - 0.95 * high,
        near_elbow=0.3, far_elbow=-0.3, near_hip=0.1, far_hip=-0.1,
    )  # fmt: skip


@dataclass(frozen=True)
class Action:
    """Joint angles over one period, periods per second, and body heights per second over the ground."""

    posture: Callable[[Floats], Posture]
    rate: float
    speed: float


ACTION_MOTIONS: Sequence[Action] = (
    Action(walk, rate=1.0, speed=0.80),
    Action(run, rate=1.5, speed=1.90),
    Action(skip, rate=1.8, speed=0.85),
    Action(side, rate=1.7, speed=0.95),
    Action(jump, rate=1.2, speed=0.90),
    Action(pjump, rate=1.4, speed=0.0),
    Action(jack, rate=1.1, speed=0.0),
    Action(bend, rate=0.6, speed=0.0),
    Action(wave1, rate=1.6, speed=0.0),
    Action(wave2, rate=1.2, speed=0.0),
)
"""In the order of ``config.ACTIONS``."""
assert tuple(action.posture.__name__ for action in ACTION_MOTIONS) == ACTIONS


@dataclass(frozen=True)
class Trajectory:
    """Trajectory of a puppet: ``angles`` name -> (T,), and the distance ``travelled`` (T,) in body heights."""

    angles: dict[str, Floats]
    travelled: Floats


def compute_trajectory(timeline: ActionTimeline, times: Floats, phase: float) -> Trajectory:
    """Compute angles and distance at ``times``, from ``phase`` at time 0. Causal: later actions have no influence."""
    ticks = np.arange(int(times[-1] / TICK) + 2) * TICK
    ids = timeline(ticks)
    weights = {int(i): _blend_weight(ids == i) for i in np.unique(ids)}
    turns = TAU * _integrate([w * ACTION_MOTIONS[i].rate for i, w in weights.items()]) + phase
    travelled = _integrate([w * ACTION_MOTIONS[i].speed for i, w in weights.items()])
    now = np.interp(times, ticks, turns)
    angles: dict[str, Floats] = {name: np.zeros(len(times)) for name in ANGLES}
    for action, weight in weights.items():
        share = np.interp(times, ticks, weight)
        posture = ACTION_MOTIONS[action].posture(now)
        for name in ANGLES:
            angles[name] = angles[name] + share * getattr(posture, name)
    return Trajectory(angles, np.interp(times, ticks, travelled))


def _blend_weight(active: Floats) -> Floats:
    """Weight of an action at each tick: its mean over the past ``BLEND`` seconds; before time 0 nothing changes."""
    past = round(BLEND / TICK)
    count = np.cumsum(np.concatenate([np.repeat(active[:1], past), active]))
    share: Floats = (count[past:] - count[:-past]) / past
    return share


def _integrate(rates: Sequence[Floats]) -> Floats:
    """Integrate the sum of all rates over the ticks, starting at 0."""
    return np.concatenate([[0.0], np.cumsum(np.sum(rates, axis=0)[:-1])]) * TICK
