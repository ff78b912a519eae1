"""What D_V looks at: groups of frames at several temporal scales, and the flow between them (sec. 3.1).

Shapes: B clips, T frames, C channels, H x W pixels, K frames a group.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from zoo.flow.warp import warp

FLOW_RANGE = 20.0  # D_V gets flow in units of 20 pixels, as released


def temporal_groups(available: int, new: int, group: int, scale: int) -> list[list[int]]:
    """The frames that D_V sees at one temporal scale, newest group first.

    available: frames made so far. new: how many of them are new in this step. group: K. At scale s the frames of a
    group stand K^s apart; a group starts anew every K frames, back over the new ones. Empty while the clip is short.
    """
    apart = group**scale
    span = apart * (group - 1)
    ends = range(available - 1, available - 1 - min(available - span, new), -group)
    return [list(range(end - span, end + 1, apart)) for end in ends]


def longest_scale(frames: int, group: int) -> int:
    """How many temporal scales a clip of that length can fill."""
    scales = 0
    while group**scales * (group - 1) < frames:
        scales += 1
    return scales


def compose_flow(flow: Tensor, start: int, stop: int) -> Tensor:
    """Backward flow from frame ``stop`` to the earlier frame ``start``, (B, T-1, 2, H, W) -> (B, 2, H, W).

    w[stop→start](x) = w[stop→stop-1](x) + w[stop-1→start](x + w[stop→stop-1](x)).
    """
    total = flow[:, stop - 1]
    for t in range(stop - 2, start - 1, -1):
        total = total + warp(flow[:, t], total)
    return total


def video_input(frames: Tensor | list[Tensor], flow: Tensor, groups: list[list[int]]) -> Tensor:
    """Frames of each group and the reference flow between them: (B·groups, 3K + 2(K-1), H, W). Eq. 7.

    Real and generated frames come with the same, real flow.
    """
    inputs = []
    for times in groups:
        pictures = [frames[t] if isinstance(frames, list) else frames[:, t] for t in times]
        motion = [compose_flow(flow, a, b) / FLOW_RANGE for a, b in pairwise(times)]
        inputs.append(torch.cat(pictures + motion, dim=1))
    return torch.cat(inputs)
