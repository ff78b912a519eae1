"""Inputs of the video discriminator D_V, and flow losses (sec. 3.1 and 3.2, eq. 7 and 8).

Shapes: B clips, T frames, n frames of a chunk, C channels, H x W pixels, K frames per group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from zoo.devices.collectives import mean_over_ranks
from zoo.flow.warp import warp
from zoo.losses.warping import flow_loss, masked_l1, warp_loss

FLOW_INPUT_UNIT = 20.0  # D_V gets flow in units of 20 pixels, as released


def temporal_groups(available: int, new: int, group: int, scale: int) -> list[list[int]]:
    """Indices of the frames that D_V sees at one temporal scale, newest group first.

    available: number of frames so far. new: how many of them are new in this step. group: K. At scale s, the frames of
    a group are K^s apart. Groups end at every K-th new frame, counted from the last. Empty if the clip is too short.
    """
    stride = group**scale
    span = stride * (group - 1)
    ends = range(available - 1, available - 1 - min(available - span, new), -group)
    return [list(range(end - span, end + 1, stride)) for end in ends]


def sparse_groups(ends: Sequence[int], group: int, scale: int) -> list[list[int]]:
    """Indices of the frames that D_V sees at one temporal scale in disjoint groups, oldest group first.

    ends: number of frames after each step; the last one is the current step. group: K. Scale s uses every K^s-th frame
    of the clip. Frames are kept until there are K; after a step that used all of them, the last K-1 are used again.
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


def count_temporal_scales(frames: int, group: int) -> int:
    """Number of temporal scales that a clip of ``frames`` frames can fill; group: K."""
    scales = 0
    while group**scales * (group - 1) < frames:
        scales += 1
    return scales


def compose_flow(flow: Tensor, start: int, stop: int) -> Tensor:
    """Compose the backward flow from frame ``stop`` to the earlier frame ``start``: (B, T-1, 2, H, W) -> (B, 2, H, W).

    w[stop→start](x) = w[stop→stop-1](x) + w[stop-1→start](x + w[stop→stop-1](x)).
    """
    total = flow[:, stop - 1]
    for t in range(stop - 2, start - 1, -1):
        total = total + warp(flow[:, t], total)
    return total


def video_input(frames: Tensor | list[Tensor], flow: Tensor, groups: list[list[int]]) -> Tensor:
    """Input of D_V (eq. 7): the frames of each group and the flow between them, (B·groups, 3K + 2(K-1), H, W).

    frames: (B, T, 3, H, W), or one (B, 3, H, W) per frame. flow: reference flow, (B, T-1, 2, H, W), the same for real
    and generated frames. groups: indices of the frames of each group.
    """
    inputs = []
    for times in groups:
        images = [frames[t] if isinstance(frames, list) else frames[:, t] for t in times]
        motion = [compose_flow(flow, a, b) / FLOW_INPUT_UNIT for a, b in pairwise(times)]
        inputs.append(torch.cat(images + motion, dim=1))
    return torch.cat(inputs)


@dataclass(frozen=True)
class MotionBatch:
    """Frames and reference flow for the flow losses; frames are (B, n, 3, H, W)."""

    real_previous: Tensor
    """The real frame before each frame."""

    real: Tensor
    """Real frames."""

    generated_previous: Tensor
    """The generated frame before each frame."""

    generated: Tensor
    """Generated frames."""

    reference_flow: Tensor
    """(B, n, 2, H, W), pixels, from each frame to the one before."""

    confidence: Tensor
    """(B, n, 1, H, W), 1 where the reference flow is reliable, else 0."""


def motion_losses(
    motion: MotionBatch, flow: Tensor | None, mask: Tensor | None, scales: int, pixel_weights: Tensor | None = None
) -> dict[str, Tensor]:
    """Unweighted flow losses; scalars by name: flow and warp (L_W, eq. 8), consistency and mask.

    consistency: distance of generated frames from the previous one warped by the reference flow. mask: penalty on
    generating pixels anew where the reference flow is reliable.
    flow: (B, n, 2, H, W), mask: (B, n, 1, H, W), predictions of the generator; None for one without warping.
    scales: number of scales of the generator; the flow error is in pixels of the coarsest one, as released.
    pixel_weights: weights of the pixels in flow and warp, (B, n, 1, H, W); None: the confidence, as released.
    """
    m = motion
    weights = m.confidence if pixel_weights is None else pixel_weights
    warped = warp(m.generated_previous, m.reference_flow).detach()
    losses = {"consistency": masked_l1(m.generated, warped, m.confidence)}
    if flow is not None and mask is not None:
        losses["flow"] = flow_loss(flow, m.reference_flow, weights) / 2 ** (scales - 1)
        losses["warp"] = warp_loss(m.real_previous, m.real, flow, weights)
        losses["mask"] = masked_l1(mask, torch.zeros_like(mask), m.confidence)
    return losses


def foreground_shared(confidence: Tensor, foreground: Tensor, share: float) -> Tensor:
    """The confidence, rescaled so that the foreground has ``share`` of its sum and the background the rest.

    confidence, foreground: (B, n, 1, H, W), at least 0; foreground is 1 on pixels of the foreground, else 0. Sums are
    those of the batch of all ranks. Returns the confidence unchanged if all of it lies on one side.
    """
    inside, outside = confidence * foreground, confidence * (1 - foreground)
    total, within, without = mean_over_ranks(torch.stack([each.sum() for each in (confidence, inside, outside)]))
    shared = inside * (share * total / within) + outside * ((1 - share) * total / without)
    return torch.where((within > 0) & (without > 0), shared, confidence)


def apply_weights(losses: dict[str, Tensor], weights: dict[str, float]) -> dict[str, Tensor]:
    """Multiply each loss by the weight of its name; drop those of weight 0."""
    return {name: weights[name] * value for name, value in losses.items() if weights[name]}
