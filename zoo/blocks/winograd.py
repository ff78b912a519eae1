"""Convolutions by Winograd's minimal filtering, for processors (Lavin & Gray 2015, arXiv 1509.09308).

A tile of m x m sums of an r x r kernel is read off n x n products, n = m + r - 1, instead of m²r²: tile and kernel are
polynomials, and a product of polynomials is known from its values at n points. What is left of a convolution are n²
matrix products with 4 times fewer multiplications (n = 6), beside the transforms. From 256 to 512 channels at 17 x 33
pixels it takes 0.6 of the time of a direct convolution; a step of vid2vid at 256 x 128, whose discriminators do that
most of all, 0.93. It rounds to some 1e-6 of the values, five times as far as a direct one. GPUs have it in their
libraries.

Shapes: N pictures, C channels in, O out, H x W pixels, a tiles down and b across a picture, T of all pictures.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from zoo.blocks.processor import is_single

POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)  # and infinity: of the usual choices the one with the least error
SIDE = len(POINTS) + 1  # n
FEWEST_CHANNELS, FEWEST_TILES = 128, 100  # below, transforms cost what they save


class Transforms(NamedTuple):
    """Of flattened squares, for kernels of r x r: sums of a tile = A (G kernel ⊙ B tile), eq. 8."""

    tile: Tensor  # B, (n², n²)
    kernel: Tensor  # G, (n², r²)
    sums: Tensor  # A, (m², n²)


@cache
def transforms(r: int) -> Transforms:
    """Toom and Cook's interpolation, transposed: a correlation is a product of polynomials read backwards."""
    kernel, sums, product = (_values(degree) for degree in (r - 1, SIDE - r, SIDE - 1))
    return Transforms(*(torch.kron(x, x).float() for x in (product.inverse().T, kernel, sums.T)))


def _values(degree: int) -> Tensor:
    """Of the monomials up to a degree at all points, (n, degree + 1); at infinity only the highest counts."""
    powers = torch.arange(degree + 1)
    finite = torch.tensor(POINTS, dtype=torch.float64).unsqueeze(1) ** powers
    return torch.cat([finite, (powers == degree).double().unsqueeze(0)])


class WinogradConv2d(nn.Conv2d):
    """A convolution of stride 1 with kernels of 3 x 3 or 4 x 4, by Winograd where that is faster."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H', W')."""
        if not self._pays(x):
            return super().forward(x)
        down, across = (int(padding) for padding in self.padding)
        y = correlate(F.pad(x, (across, across, down, down)), self.weight)
        return y if self.bias is None else y + self.bias[:, None, None]

    def _pays(self, x: Tensor) -> bool:
        """Whether it is faster: in single precision on a processor, with many channels and enough pixels."""
        m = SIDE + 1 - self.kernel_size[0]
        tiles = len(x) * (x.shape[-2] // m) * (x.shape[-1] // m)
        large = min(self.in_channels, self.out_channels) >= FEWEST_CHANNELS and tiles >= FEWEST_TILES
        return large and is_single(x)


def correlate(x: Tensor, weight: Tensor) -> Tensor:
    """What ``F.conv2d`` makes of pictures (N, C, H, W) and kernels (O, C, r, r): (N, O, H-r+1, W-r+1)."""
    N, C, H, W = x.shape
    out, _, r, _ = weight.shape
    m, forms = SIDE + 1 - r, transforms(r)
    height, width = H + 1 - r, W + 1 - r
    a, b = -(-height // m), -(-width // m)
    tiles = _Tiles.apply(F.pad(x, (0, b * m - width, 0, a * m - height)), m)
    of_tiles = (forms.tile @ tiles.flatten(1)).view(SIDE**2, N * a * b, C)
    of_kernels = (forms.kernel @ weight.view(out * C, r * r).T).view(SIDE**2, out, C)
    products = torch.bmm(of_tiles, of_kernels.transpose(1, 2))  # (n², T, O)
    sums = forms.sums @ products.flatten(1)
    y = rearrange(sums, "(i j) (n a b o) -> n (a i) (b j) o", i=m, n=N, a=a, b=b)
    return y[:, :height, :width].permute(0, 3, 1, 2)


class _Tiles(torch.autograd.Function):
    """Pictures (N, C, am + n - m, bm + n - m), cut into tiles that overlap: (n², T, C).

    By itself, since the gradient of ``unfold`` adds tile by tile: 10 times as slow.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, m: int) -> Tensor:
        ctx.m, ctx.shape = m, x.shape
        tiles = x.unfold(2, SIDE, m).unfold(3, SIDE, m)
        return rearrange(tiles, "n c a b i j -> (i j) (n a b) c")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """A pixel has the gradient of its own tile and, where tiles overlap, of the one before, down and across."""
        N, C, H, W = ctx.shape
        m, overlap = ctx.m, SIDE - ctx.m
        a, b = (H - overlap) // m, (W - overlap) // m
        tiles = rearrange(gradient, "(i j) (n a b) c -> n a i b j c", i=SIDE, n=N, a=a, b=b)
        x = gradient.new_zeros(N, a + 1, m, b + 1, m, C)
        for rows, down in ((slice(m), 0), (slice(m, None), 1)):
            for columns, right in ((slice(m), 0), (slice(m, None), 1)):
                part = tiles[:, :, rows, :, columns]
                x[:, down : down + a, : part.shape[2], right : right + b, : part.shape[4]] += part
        return x.view(N, (a + 1) * m, (b + 1) * m, C)[:, :H, :W].permute(0, 3, 1, 2), None
