"""Backward warping: each pixel of the result looks up where it comes from.

Shapes: ``...`` any leading axes, C channels, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """``result(x) = image(x + flow(x))``: image (..., C, H, W) and flow (..., 2, H, W) to (..., C, H, W).

    flow: pixels, (dx, dy). Bilinear; positions outside take the nearest border pixel: what ``F.grid_sample``
    gives with ``align_corners=True, padding_mode="border"``. Positions are in float32 at least, also under
    autocast; the result has the image's type. Zero flow returns the image itself.
    """
    # Gathered by pixel number: in F.grid_sample's range [-1, 1] zero flow changes noise by 1e-4 at 512 px.
    H, W = image.shape[-2:]
    assert flow.shape == (*image.shape[:-3], 2, H, W), f"flow {flow.shape} for an image {image.shape}"
    positions = source_positions(flow)
    pixels = image.to(positions.dtype).flatten(-2)

    def at(row: Tensor, column: Tensor) -> Tensor:
        number = (row * W + column).flatten(-2).unsqueeze(-2)
        return pixels.gather(-1, number.expand_as(pixels)).view(image.shape)

    left, right, across = _neighbours(positions[..., 0, :, :], W)
    top, bottom, down = _neighbours(positions[..., 1, :, :], H)
    above = torch.lerp(at(top, left), at(top, right), across)
    below = torch.lerp(at(bottom, left), at(bottom, right), across)
    return torch.lerp(above, below, down).to(image.dtype)


def source_positions(flow: Tensor) -> Tensor:
    """Where each pixel comes from, ``x + flow(x)`` in pixels, (..., 2, H, W); float32 at least."""
    dtype = torch.promote_types(flow.dtype, torch.float32)
    H, W = flow.shape[-2:]
    rows = torch.arange(H, dtype=dtype, device=flow.device)
    columns = torch.arange(W, dtype=dtype, device=flow.device)
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
    return grid + flow.to(dtype)


def _neighbours(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Along one axis: the pixel before, the pixel after, and how far between them, with a channel axis."""
    position = position.clamp(0, size - 1)
    before = position.detach().floor()
    index = before.nan_to_num().long()  # a flow of NaN gives NaN, not an index out of range
    return index, (index + 1).clamp(max=size - 1), (position - before).unsqueeze(-3)
