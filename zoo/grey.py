"""Grey from RGB, and RGB from grey, for videos, clips and images of any size.

Shapes: ``...`` any leading axes, C channels (3 or 1), H x W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue: ITU-R BT.601, as cv2's RGB2GRAY has them."""


def to_grey(video: Tensor) -> Tensor:
    """Luma of RGB, (..., 3, H, W) -> (..., 1, H, W), in the same range; one grey channel is returned as it is."""
    if video.shape[-3] == 1:
        return video
    return (video * video.new_tensor(LUMA).view(3, 1, 1)).sum(-3, keepdim=True)


def to_rgb(video: Tensor) -> Tensor:
    """Repeat one grey channel three times, (..., C, H, W) -> (..., 3, H, W); RGB is returned as it is."""
    return video.repeat_interleave(3, -3) if video.shape[-3] == 1 else video
