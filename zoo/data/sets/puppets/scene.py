"""Who plays, what they do, and where the camera goes: everything that a clip's number decides.

A scene is a function of time, never of the length of a clip. Lengths are body heights, times seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from zoo.data.sets.puppets.config import ACTIONS, IDENTITIES, PuppetsConfig
from zoo.data.sets.puppets.layers import Floats, Ints
from zoo.data.sets.puppets.motion import Timeline
from zoo.types import Split

SPLITS: tuple[Split, ...] = ("train", "val")


@dataclass(frozen=True)
class Alternating:
    """Two actions in turn: the first until ``change``, then a switch every ``hold`` seconds."""

    first: int
    second: int
    change: float
    hold: float

    def __call__(self, times: Floats) -> Ints:
        """Action at each time."""
        switches = np.floor((times - self.change) / self.hold).astype(int) + 1
        return np.where(np.maximum(switches, 0) % 2 == 0, self.first, self.second)


@dataclass(frozen=True)
class Scripted:
    """One action a frame, as a caller chose them; the last goes on."""

    actions: tuple[int, ...]
    fps: float

    def __call__(self, times: Floats) -> Ints:
        """Action at each time."""
        frame = np.floor(times * self.fps + 1e-6).astype(int)
        played: Ints = np.array(self.actions)[np.minimum(frame, len(self.actions) - 1)]
        return played


@dataclass(frozen=True)
class Role:
    """One puppet. ``phase`` is that of its movement at time 0; ``facing`` 1 is right, -1 left."""

    identity: int
    timeline: Timeline
    phase: float
    facing: int


@dataclass(frozen=True)
class Scene:
    """One clip's world.

    The camera follows the lead so that it stands ``sway * sin(pace * t + sway_phase)`` ahead of the middle,
    where 1 is as far as it can go without leaving the frame. ``guest`` passes and ``prop`` stands in front:
    their starts are shares of the distance after which they come round again.
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
    """The scene of a clip: the same numbers are drawn in the same order whatever the settings."""
    rng = np.random.default_rng((SPLITS.index(split), index))
    chance = rng.random(12)
    style, guest_style = (int(n) for n in rng.integers(1 << 20, size=2))
    lead = _role(rng, config.transitions)
    guest = _role(rng, config.transitions)
    if guest.identity == lead.identity:
        guest = replace(guest, identity=(guest.identity + 1) % len(IDENTITIES))
    crowded = config.shows_street
    return Scene(
        style=style,
        lead=lead,
        sway=0.8 if config.shows_street else 0.06,
        pace=0.7 + 0.4 * chance[0],
        sway_phase=-1.3 + chance[1],
        guest=guest if crowded and chance[2] < config.crowd else None,
        guest_start=chance[3],
        prop=("lamp", "bush")[guest_style % 2] if crowded and chance[4] < config.crowd else None,
        prop_start=chance[5],
    )


def _role(rng: np.random.Generator, transitions: float) -> Role:
    identity, first, other, facing = rng.integers((len(IDENTITIES), len(ACTIONS), len(ACTIONS) - 1, 2))
    changes, when, hold, phase = rng.random(4)
    second = (first + 1 + other) % len(ACTIONS) if changes < transitions else first
    timeline = Alternating(int(first), int(second), change=0.16 + 0.3 * when, hold=0.9 + 0.9 * hold)
    return Role(int(identity), timeline, 2 * np.pi * phase, 1 if facing else -1)
