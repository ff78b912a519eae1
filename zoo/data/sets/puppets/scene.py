"""The scene of a clip: who appears, what they do, and how the camera moves. A function of the clip's index.

A scene is a function of time, never of the length of a clip. Lengths are body heights, times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from zoo.data.sets.puppets.config import ACTIONS, IDENTITIES, PuppetsConfig
from zoo.data.sets.puppets.layers import Floats, Ints
from zoo.data.sets.puppets.motion import ActionTimeline
from zoo.types import Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")
"""A scene is drawn from the position of its split here and from its index, so no two splits share a scene."""


@dataclass(frozen=True)
class Alternating:
    """Two alternating actions: the first until ``change``, then a switch every ``hold`` seconds."""

    first: int
    second: int
    change: float
    hold: float

    def __call__(self, times: Floats) -> Ints:
        """Id of the action at each time."""
        switches = np.floor((times - self.change) / self.hold).astype(int) + 1
        return np.where(np.maximum(switches, 0) % 2 == 0, self.first, self.second)


@dataclass(frozen=True)
class Scripted:
    """One action per frame, chosen by the caller; the last one continues."""

    actions: tuple[int, ...]
    fps: float

    def __call__(self, times: Floats) -> Ints:
        """Id of the action at each time."""
        frame = np.floor(times * self.fps + 1e-6).astype(int)
        played: Ints = np.array(self.actions)[np.minimum(frame, len(self.actions) - 1)]
        return played


@dataclass(frozen=True)
class Role:
    """One puppet. ``phase`` is the phase of its movement at time 0 in radians; ``facing`` is 1 (right) or -1 (left)."""

    identity: int
    timeline: ActionTimeline
    phase: float
    facing: int


@dataclass(frozen=True)
class Scene:
    """The scene of one clip.

    The camera follows the lead, who stands ``sway * sin(pace * t + sway_phase)`` ahead of the centre, where 1 is as far
    as it can go without leaving the frame. ``guest`` passes by, and ``prop`` stands in front; their starts are
    fractions of the distance after which they re-enter.
    """

    style: int
    lead: Role
    sway: float
    pace: float
    sway_phase: float
    guest: Role | None
    guest_start: float
    prop: Literal["lamp", "bush"] | None
    prop_start: float


def draw_scene(config: PuppetsConfig, split: Split, index: int) -> Scene:
    """Draw the scene of a clip. The same random numbers are drawn in the same order whatever the settings."""
    rng = np.random.default_rng((SPLITS.index(split), index))
    uniform = rng.random(12)
    style, guest_style = (int(n) for n in rng.integers(1 << 20, size=2))
    lead = _draw_role(rng, config.transitions)
    guest = _draw_role(rng, config.transitions)
    if guest.identity == lead.identity:
        guest = replace(guest, identity=(guest.identity + 1) % len(IDENTITIES))
    on_street = config.shows_street
    return Scene(
        style=style,
        lead=lead,
        sway=0.8 if on_street else 0.06,
        pace=0.7 + 0.4 * uniform[0],
        sway_phase=-1.3 + uniform[1],
        guest=guest if on_street and uniform[2] < config.crowd else None,
        guest_start=uniform[3],
        prop=("lamp", "bush")[guest_style % 2] if on_street and uniform[4] < config.crowd else None,
        prop_start=uniform[5],
    )


def _draw_role(rng: np.random.Generator, transitions: float) -> Role:
    identity, first, other, facing = rng.integers((len(IDENTITIES), len(ACTIONS), len(ACTIONS) - 1, 2))
    changes, change, hold, phase = rng.random(4)
    second = (first + 1 + other) % len(ACTIONS) if changes < transitions else first
    timeline = Alternating(int(first), int(second), change=0.16 + 0.3 * change, hold=0.9 + 0.9 * hold)
    return Role(int(identity), timeline, 2 * np.pi * phase, 1 if facing else -1)
