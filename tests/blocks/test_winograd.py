"""Winograd convolutions against hand-worked numbers and plain convolutions, and when they are not used."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zoo.blocks import winograd
from zoo.blocks.patchgan import PatchDiscriminator
from zoo.blocks.winograd import POINTS, WinogradConv2d, correlate


def test_correlation_by_hand():
    """Values grow by 1 per column and 10 per row: right minus left is 2 everywhere, below minus above 20."""
    picture = (torch.arange(1.0, 9) + 10 * torch.arange(7.0).unsqueeze(1))[None, None]
    across = torch.tensor([[0.0, 0, 0], [-1, 0, 1], [0, 0, 0]])
    y = correlate(picture, torch.stack([across, across.T, torch.ones(3, 3) / 9]).unsqueeze(1))
    assert y.shape == (1, 3, 5, 6)
    assert torch.allclose(y[0, 0], torch.full((5, 6), 2.0), atol=1e-4)
    assert torch.allclose(y[0, 1], torch.full((5, 6), 20.0), atol=1e-4)
    assert torch.allclose(y[0, 2], picture[0, 0, 1:-1, 1:-1], atol=1e-4)  # the mean of a 3 x 3 window is its centre


def test_monomials_are_evaluated_at_all_points_and_infinity():
    """The row of a point p is 1, p, p²; the row of infinity selects the highest coefficient."""
    values = winograd._evaluate_monomials(2)
    assert values.tolist() == [[1, p, p**2] for p in POINTS] + [[0, 0, 1]]


@pytest.mark.parametrize("r", [3, 4])
@pytest.mark.parametrize(("N", "height", "width"), [(1, 8, 8), (2, 11, 6), (3, 9, 17)])
def test_correlation_equals_a_plain_convolution(r, N, height, width):
    """Values and all gradients, for sizes that are multiples of a tile and others."""
    x = torch.randn(N, 5, height, width, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(7, 5, r, r, generator=torch.Generator().manual_seed(1))
    single, double = ([part.to(dtype).requires_grad_() for part in (x, weight)] for dtype in (x.dtype, torch.float64))
    y, expected = correlate(*single), F.conv2d(*double)
    upstream = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
    found = [y, *torch.autograd.grad(y, single, upstream)]
    reference = [expected, *torch.autograd.grad(expected, double, upstream.double())]
    for one, other in zip(found, reference, strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() < 3e-5 * other.abs().max()


def pair(channels: int) -> tuple[WinogradConv2d, nn.Conv2d]:
    """A Winograd and a plain convolution with the same weights."""
    layers = WinogradConv2d(channels, 128, 4, padding=2), nn.Conv2d(channels, 128, 4, padding=2)
    layers[1].load_state_dict(layers[0].state_dict())
    return layers


def test_padding_and_bias_equal_those_of_a_plain_convolution(monkeypatch):
    winograd_layer, plain = pair(128)
    x = torch.randn(2, 128, 29, 31)
    monkeypatch.setattr(winograd, "correlate", counter := CallCounter())
    y = winograd_layer(x)
    assert counter.times == 1
    assert torch.allclose(y, plain(x), atol=1e-4)


class CallCounter:
    """Calls ``correlate`` and counts the calls."""

    times = 0

    def __call__(self, *arguments: torch.Tensor) -> torch.Tensor:
        self.times += 1
        return correlate(*arguments)


@pytest.mark.parametrize(
    ("channels", "size", "dtype"),
    [(64, 64, torch.float32), (128, 16, torch.float32), (128, 64, torch.float64)],
    ids=["few channels", "few pixels", "double precision"],
)
def test_plain_convolution_is_used_where_winograd_is_slower(channels, size, dtype, monkeypatch):
    winograd_layer, plain = (layer.to(dtype) for layer in pair(channels))
    monkeypatch.setattr(winograd, "correlate", counter := CallCounter())
    x = torch.randn(1, channels, size, size, dtype=dtype)
    assert torch.equal(winograd_layer(x), plain(x))
    assert counter.times == 0


def test_plain_convolution_is_used_in_mixed_precision(monkeypatch):
    winograd_layer, _ = pair(128)
    monkeypatch.setattr(winograd, "correlate", counter := CallCounter())
    with torch.autocast("cpu", torch.bfloat16):
        assert winograd_layer(torch.randn(1, 128, 64, 64)).dtype == torch.bfloat16
    assert counter.times == 0


def test_discriminator_scores_are_the_same_with_winograd(monkeypatch):
    """At 256 x 128 pixels, its widest layer uses Winograd."""
    discriminator = PatchDiscriminator(6, 64, 3, nn.InstanceNorm2d)
    x = torch.randn(2, 6, 128, 256)
    monkeypatch.setattr(winograd, "correlate", counter := CallCounter())
    maps = discriminator(x)
    assert counter.times == 1
    monkeypatch.setattr(winograd, "MIN_TILES", 10**9)
    for one, other in zip(maps, discriminator(x), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
