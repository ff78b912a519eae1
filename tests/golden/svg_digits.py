"""Replay the record of SVG's moving digits with the zoo: positions and frames from given random draws.

``replay`` takes a record without its answers; tests/golden/README.md says how to compare.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from zoo.data.sets.moving_mnist.render import Rendering
from zoo.data.sets.moving_mnist.trajectories import Room, Trajectory, svg_trajectory


def replay(record: dict[str, Any]) -> dict[str, Any]:
    """Answers of a record of the kind `svg_moving_digits`."""
    options = record["options"]
    room = options["image_size"] - options["digit_size"]
    moved = [_move(draws, options, Room(room, room)) for draws in record["draws"]]
    positions = np.stack([trajectory.positions for trajectory, _ in moved])
    size = options["image_size"]
    frames = Rendering(record["digits"].numpy(), positions, size, size, added=True).frames
    return {"train": {"clip": torch.from_numpy(frames)[:, None], "draws_used": [used for _, used in moved]}}


def _move(draws: list[list[int]], options: dict[str, Any], room: Room) -> tuple[Trajectory, int]:
    """Move a digit with given draws, [low, high, value] each; returns how many were used, too."""
    left = list(draws)

    def draw(low: int, high: int) -> int:
        wanted_low, wanted_high, value = left.pop(0)
        assert (low, high) == (wanted_low, wanted_high)
        return value

    trajectory = svg_trajectory(draw, options["seq_len"], room, redraws=not options["deterministic"])
    return trajectory, len(draws) - len(left)
