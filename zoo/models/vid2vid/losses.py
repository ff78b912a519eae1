"""What D_V looks at, and the losses that tie frames together (sec. 3.1 and 3.2; eq. 7 and 8).

Shapes: B clips, T frames, n frames of a chunk, C channels, H x W pixels, K frames a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from zoo.flow.warp import warp
from zoo.losses.warping import flow_loss, masked_l1, warp_loss

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


def sparse_groups(ends: Sequence[int], group: int, scale: int) -> list[list[int]]:
    """The frames that D_V sees at one temporal scale when its groups do not overlap, oldest group first.

    ends: how many frames there were after each step, the last one now. group: K. Scale s looks at every K^s-th frame of
    the clip. Frames wait until K are there; where a step used all that waited, the next begins with the last K-1.
    """
    waiting: list[int] = []
    groups: list[list[int]] = []
    start = 0
    for end in ends:
        if len(waiting) % group == 0:
            waiting = waiting[len(waiting) - group + 1 :] if waiting else []
        waiting += [t for t in range(start, end) if t % group**scale == 0]
        groups = []
        if len(waiting) >= group:
            waiting = waiting[len(waiting) % group :]
            groups = [waiting[i : i + group] for i in range(0, len(waiting), group)]
        start = end
    return groups


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


@dataclass(frozen=True)
class Motion:
    """Frames and motion that the flow losses compare, each (B, n, ., H, W).

    before, current: real frames, each and the one before it. made_before, made: generated ones. reference: flow from
    each frame to the one before, pixels. trust: (B, n, 1, H, W), 1 where the reference is to be believed.
    """

    before: Tensor
    current: Tensor
    made_before: Tensor
    made: Tensor
    reference: Tensor
    trust: Tensor


def motion_losses(motion: Motion, flow: Tensor | None, mask: Tensor | None, scales: int) -> dict[str, Tensor]:
    """L_W of eq. 8 for the predicted flow, that frames follow the reference flow, and that the mask prefers to warp.

    flow: (B, n, 2, H, W), mask: (B, n, 1, H, W), as the generator predicts them; None for one that does not warp.
    scales: of the generator; the flow's error is in pixels of the coarsest, as released. No weight is applied.
    """
    m = motion
    losses = {"consistency": masked_l1(m.made, warp(m.made_before, m.reference).detach(), m.trust)}
    if flow is not None and mask is not None:
        losses["flow"] = flow_loss(flow, m.reference, m.trust) / 2 ** (scales - 1)
        losses["warp"] = warp_loss(m.before, m.current, flow, m.trust)
        losses["mask"] = masked_l1(mask, torch.zeros_like(mask), m.trust)
    return losses


def weighted(losses: dict[str, Tensor], weights: dict[str, float]) -> dict[str, Tensor]:
    """Each loss times the weight of its name; those of weight 0 are left out."""
    return {name: weights[name] * value for name, value in losses.items() if weights[name]}
