"""What is painted from: label maps as channels, the borders of instances, the same at coarser scales.

Shapes: B clips, T frames, N images, C channels, H x W pixels; ``...`` any leading axes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ZooError


def check_ids(labels: Tensor, classes: int) -> None:
    """A ZooError for an id outside 0 to classes-1, labels of any shape. It waits for the device that they are on."""
    low, high = (int(value) for value in torch.aminmax(labels))
    if low < 0 or high >= classes:
        raise ZooError(
            f"A label map holds ids from {low} to {high}; this model was built for {classes} classes, 0 to "
            f"{classes - 1}. Map the ids, or train with as many classes: data.label_count={high + 1}."
        )


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """(B, T, H, W) ids, each in 0 to classes-1, to (B, T, classes, H, W) of 0 and 1."""
    return (labels.unsqueeze(2) == torch.arange(classes, device=labels.device).view(-1, 1, 1)).float()


def instance_edges(instances: Tensor) -> Tensor:
    """1 where one of the four neighbours has another id, on both sides of the border; (..., H, W) -> (..., 1, H, W)."""
    edge = torch.zeros_like(instances, dtype=torch.bool)
    across = instances[..., :, 1:] != instances[..., :, :-1]
    down = instances[..., 1:, :] != instances[..., :-1, :]
    edge[..., :, 1:] |= across
    edge[..., :, :-1] |= across
    edge[..., 1:, :] |= down
    edge[..., :-1, :] |= down
    return edge.unsqueeze(-3).float()


def halve(images: Tensor) -> Tensor:
    """The next coarser scale, (..., C, H, W) -> (..., C, H/2, W/2): mean of 3 x 3 pixels, borders of those inside."""
    flat = images.reshape(-1, *images.shape[-3:])
    half = F.avg_pool2d(flat, 3, stride=2, padding=1, count_include_pad=False)
    return half.view(*images.shape[:-3], *half.shape[-3:])


def pyramid(images: Tensor, scales: int) -> list[Tensor]:
    """The same images at every scale, coarsest first, the last as they are; each (..., C, H/2^s, W/2^s)."""
    levels = [images]
    for _ in range(scales - 1):
        levels.insert(0, halve(levels[0]))
    return levels
