"""Inputs of image translation: one-hot label maps, instance edges, image pyramids.

Shapes: B clips, T frames, N images, C channels, H x W pixels; ``...`` any leading axes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.errors import ZooError
from zoo.types import IGNORED


def check_label_ids(labels: Tensor, classes: int) -> None:
    """Raise ZooError for label ids outside 0 to classes-1, except IGNORED; labels of any shape. Synchronises with their
    device."""
    low, high = (int(value) for value in torch.aminmax(labels))
    if low < IGNORED or high >= classes:
        raise ZooError(
            f"The label map contains ids from {low} to {high}, but this model was built for {classes} classes, 0 to "
            f"{classes - 1}. Map the ids, or train with more classes: data.label_count={high + 1}"
        )


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Ids (B, T, H, W), each in 0 to classes-1, -> (B, T, classes, H, W) float, 0 or 1. IGNORED is in no class."""
    return (labels.unsqueeze(2) == torch.arange(classes, device=labels.device).view(-1, 1, 1)).float()


def instance_edges(instances: Tensor) -> Tensor:
    """1 where one of the four neighbours has another id, else 0: ids (..., H, W) -> (..., 1, H, W) float.

    The pixels on both sides of a border are marked.
    """
    edge = torch.zeros_like(instances, dtype=torch.bool)
    across = instances[..., :, 1:] != instances[..., :, :-1]
    down = instances[..., 1:, :] != instances[..., :-1, :]
    edge[..., :, 1:] |= across
    edge[..., :, :-1] |= across
    edge[..., 1:, :] |= down
    edge[..., :-1, :] |= down
    return edge.unsqueeze(-3).float()


def halve(images: Tensor) -> Tensor:
    """Halve the resolution: (..., C, H, W) -> (..., C, H/2, W/2), mean of 3 x 3 pixels with stride 2.

    At the borders only pixels inside the image count.
    """
    flat = images.reshape(-1, *images.shape[-3:])
    half = F.avg_pool2d(flat, 3, stride=2, padding=1, count_include_pad=False)
    return half.view(*images.shape[:-3], *half.shape[-3:])


def pyramid(images: Tensor, scales: int) -> list[Tensor]:
    """Image pyramid, coarsest level first: (..., C, H, W) -> ``scales`` levels, the last of which is the input."""
    levels = [images]
    for _ in range(scales - 1):
        levels.insert(0, halve(levels[0]))
    return levels
