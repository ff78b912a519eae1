"""Backward warping: each pixel of the result is sampled at its source position.

Shapes: ``...`` any leading axes, C channels, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """``result(x) = image(x + flow(x))``: image (..., C, H, W) and flow (..., 2, H, W) -> (..., C, H, W).

    flow: pixels, (dx, dy). Equivalent to ``F.grid_sample`` with ``align_corners=True, padding_mode="border"``:
    bilinear, and positions outside the image take the nearest border pixel. Positions are computed in float32 or wider,
    even under autocast; the result has the dtype of the image. Zero flow returns the image exactly.
    """
    # Pixels are gathered by index: with the range [-1, 1] of F.grid_sample, zero flow changes noise by 1e-4 at 512 px.
    H, W = image.shape[-2:]
    assert flow.shape == (*image.shape[:-3], 2, H, W), f"flow {flow.shape} for an image {image.shape}"
    positions = source_positions(flow)
    pixels = image.to(positions.dtype).flatten(-2)

    def at(row: Tensor, column: Tensor) -> Tensor:
        index = (row * W + column).flatten(-2).unsqueeze(-2)
        return pixels.gather(-1, index.expand_as(pixels)).view(image.shape)

    left, right, across = _neighbours(positions[..., 0, :, :], W)
    top, bottom, down = _neighbours(positions[..., 1, :, :], H)
    above = torch.lerp(at(top, left), at(top, right), across)
    below = torch.lerp(at(bottom, left), at(bottom, right), across)
    return torch.lerp(above, below, down).to(image.dtype)


def source_positions(flow: Tensor) -> Tensor:
    """Source position of each pixel, ``x + flow(x)`` in pixels, (..., 2, H, W); float32 or wider."""
    dtype = torch.promote_types(flow.dtype, torch.float32)
    H, W = flow.shape[-2:]
    rows = torch.arange(H, dtype=dtype, device=flow.device)
    columns = torch.arange(W, dtype=dtype, device=flow.device)
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
    return grid + flow.to(dtype)


def _neighbours(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the two neighbouring pixels along one axis, and the fraction between them, with a channel axis."""
    position = position.clamp(0, size - 1)
    floor = position.detach().floor()
    index = floor.nan_to_num().long()  # a flow of NaN gives NaN, not an index out of range
    return index, (index + 1).clamp(max=size - 1), (position - floor).unsqueeze(-3)
