"""Winograd convolutions for CPUs (Lavin & Gray 2015, arXiv 1509.09308).

A tile of m x m outputs of an r x r kernel needs n x n products, n = m + r - 1, instead of m²r²: tile and kernel are
treated as polynomials, whose product is determined by its values at n points. The convolution becomes n² matrix
products with 4 times fewer multiplications (n = 6), plus the transforms. From 256 to 512 channels at 17 x 33 pixels it
takes 0.6 of the time of a direct convolution; a step of vid2vid at 256 x 128, dominated by its discriminators, takes
0.93. The rounding error is about 1e-6 of the values, five times that of a direct convolution. GPU libraries have their
own.

Shapes: N images, C channels in, O out, H x W pixels, a x b tiles per image, T tiles of all images.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from zoo.blocks.cpu_convolution import is_cpu_float32

POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)  # and infinity; the usual choice with the smallest rounding error
TILE = len(POINTS) + 1  # n
MIN_CHANNELS, MIN_TILES = 128, 100  # below these, the transforms cost more than they save


class Transforms(NamedTuple):
    """Matrices for flattened tiles and r x r kernels: outputs of a tile = A (G kernel ⊙ B tile), eq. 8."""

    tile: Tensor  # B, (n², n²)
    kernel: Tensor  # G, (n², r²)
    sums: Tensor  # A, (m², n²)


@cache
def transforms(r: int) -> Transforms:
    """Matrices of the Toom-Cook algorithm, transposed, because a correlation is a transposed product of polynomials."""
    kernel, sums, product = (_evaluate_monomials(degree) for degree in (r - 1, TILE - r, TILE - 1))
    return Transforms(*(torch.kron(x, x).float() for x in (product.inverse().T, kernel, sums.T)))


def _evaluate_monomials(degree: int) -> Tensor:
    """Values of the monomials up to a degree at all points, (n, degree + 1); at infinity only the highest is not 0."""
    powers = torch.arange(degree + 1)
    finite = torch.tensor(POINTS, dtype=torch.float64).unsqueeze(1) ** powers
    return torch.cat([finite, (powers == degree).double().unsqueeze(0)])


class WinogradConv2d(nn.Conv2d):
    """A 3 x 3 or 4 x 4 convolution of stride 1, computed with Winograd's algorithm where that is faster."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H', W')."""
        if not self._is_faster(x):
            return super().forward(x)
        down, across = (int(padding) for padding in self.padding)
        y = correlate(F.pad(x, (across, across, down, down)), self.weight)
        return y if self.bias is None else y + self.bias[:, None, None]

    def _is_faster(self, x: Tensor) -> bool:
        """Whether Winograd is faster: in float32 on a CPU, with enough channels and tiles."""
        m = TILE + 1 - self.kernel_size[0]
        tiles = len(x) * (x.shape[-2] // m) * (x.shape[-1] // m)
        large = min(self.in_channels, self.out_channels) >= MIN_CHANNELS and tiles >= MIN_TILES
        return large and is_cpu_float32(x)


def correlate(x: Tensor, weight: Tensor) -> Tensor:
    """Equivalent of ``F.conv2d``: images (N, C, H, W) and kernels (O, C, r, r) -> (N, O, H-r+1, W-r+1)."""
    N, C, H, W = x.shape
    out, _, r, _ = weight.shape
    m, matrices = TILE + 1 - r, transforms(r)
    height, width = H + 1 - r, W + 1 - r
    a, b = -(-height // m), -(-width // m)
    tiles = _Tiles.apply(F.pad(x, (0, b * m - width, 0, a * m - height)), m)
    tile_values = (matrices.tile @ tiles.flatten(1)).view(TILE**2, N * a * b, C)
    kernel_values = (matrices.kernel @ weight.view(out * C, r * r).T).view(TILE**2, out, C)
    products = torch.bmm(tile_values, kernel_values.transpose(1, 2))  # (n², T, O)
    sums = matrices.sums @ products.flatten(1)
    y = rearrange(sums, "(i j) (n a b o) -> n (a i) (b j) o", i=m, n=N, a=a, b=b)
    return y[:, :height, :width].permute(0, 3, 1, 2)


class _Tiles(torch.autograd.Function):
    """Cut images (N, C, am + n - m, bm + n - m) into overlapping tiles: (n², T, C).

    A function of its own because the gradient of ``unfold`` adds tile by tile, which is 10 times as slow.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, m: int) -> Tensor:
        ctx.m, ctx.shape = m, x.shape
        tiles = x.unfold(2, TILE, m).unfold(3, TILE, m)
        return rearrange(tiles, "n c a b i j -> (i j) (n a b) c")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Add to each pixel the gradients of its own tile and of the overlapping tiles above and to the left."""
        N, C, H, W = ctx.shape
        m, overlap = ctx.m, TILE - ctx.m
        a, b = (H - overlap) // m, (W - overlap) // m
        tiles = rearrange(gradient, "(i j) (n a b) c -> n a i b j c", i=TILE, n=N, a=a, b=b)
        x = gradient.new_zeros(N, a + 1, m, b + 1, m, C)
        for rows, down in ((slice(m), 0), (slice(m, None), 1)):
            for columns, right in ((slice(m), 0), (slice(m, None), 1)):
                part = tiles[:, :, rows, :, columns]
                x[:, down : down + a, : part.shape[2], right : right + b, : part.shape[4]] += part
        return x.view(N, (a + 1) * m, (b + 1) * m, C)[:, :H, :W].permute(0, 3, 1, 2), None
