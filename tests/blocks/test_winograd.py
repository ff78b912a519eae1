"""Winograd's convolution: numbers by hand, a plain convolution in double precision, and where it is left out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zoo.blocks import winograd
from zoo.blocks.patchgan import PatchDiscriminator
from zoo.blocks.winograd import POINTS, WinogradConv2d, correlate


def test_by_hand():
    """Columns 1 to 8 and rows that add 10 each: right minus left is 2, below minus above 20, in every place."""
    picture = (torch.arange(1.0, 9) + 10 * torch.arange(7.0).unsqueeze(1))[None, None]
    across = torch.tensor([[0.0, 0, 0], [-1, 0, 1], [0, 0, 0]])
    y = correlate(picture, torch.stack([across, across.T, torch.ones(3, 3) / 9]).unsqueeze(1))
    assert y.shape == (1, 3, 5, 6)
    assert torch.allclose(y[0, 0], torch.full((5, 6), 2.0), atol=1e-4)
    assert torch.allclose(y[0, 1], torch.full((5, 6), 20.0), atol=1e-4)
    assert torch.allclose(y[0, 2], picture[0, 0, 1:-1, 1:-1], atol=1e-4)  # the mean of nine is the one in the middle


def test_a_polynomial_is_known_from_its_values():
    """The row of a point p holds 1, p, p², and that of infinity what the highest power is multiplied with."""
    values = winograd._values(2)
    assert values.tolist() == [[1, p, p**2] for p in POINTS] + [[0, 0, 1]]


@pytest.mark.parametrize("r", [3, 4])
@pytest.mark.parametrize(("N", "height", "width"), [(1, 8, 8), (2, 11, 6), (3, 9, 17)])
def test_is_a_convolution(r, N, height, width):
    """Values and every gradient, where tiles fill a picture and where they stick out."""
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
    """The same convolution twice."""
    layers = WinogradConv2d(channels, 128, 4, padding=2), nn.Conv2d(channels, 128, 4, padding=2)
    layers[1].load_state_dict(layers[0].state_dict())
    return layers


def test_pads_and_adds_the_bias(monkeypatch):
    tiled, plain = pair(128)
    x = torch.randn(2, 128, 29, 31)
    monkeypatch.setattr(winograd, "correlate", seen := Seen())
    y = tiled(x)
    assert seen.times == 1
    assert torch.allclose(y, plain(x), atol=1e-4)


class Seen:
    """Counts calls."""

    times = 0

    def __call__(self, *arguments: torch.Tensor) -> torch.Tensor:
        self.times += 1
        return correlate(*arguments)


@pytest.mark.parametrize(
    ("channels", "size", "dtype"),
    [(64, 64, torch.float32), (128, 16, torch.float32), (128, 64, torch.float64)],
    ids=["few channels", "few pixels", "double precision"],
)
def test_is_left_out_where_it_is_slower(channels, size, dtype, monkeypatch):
    tiled, plain = (layer.to(dtype) for layer in pair(channels))
    monkeypatch.setattr(winograd, "correlate", seen := Seen())
    x = torch.randn(1, channels, size, size, dtype=dtype)
    assert torch.equal(tiled(x), plain(x))
    assert seen.times == 0


def test_is_left_out_in_mixed_precision(monkeypatch):
    tiled, _ = pair(128)
    monkeypatch.setattr(winograd, "correlate", seen := Seen())
    with torch.autocast("cpu", torch.bfloat16):
        assert tiled(torch.randn(1, 128, 64, 64)).dtype == torch.bfloat16
    assert seen.times == 0


def test_a_discriminator_says_the_same_with_it(monkeypatch):
    """At 256 x 128 pixels its widest layer takes this way."""
    discriminator = PatchDiscriminator(6, 64, 3, nn.InstanceNorm2d)
    x = torch.randn(2, 6, 128, 256)
    monkeypatch.setattr(winograd, "correlate", seen := Seen())
    maps = discriminator(x)
    assert seen.times == 1
    monkeypatch.setattr(winograd, "FEWEST_TILES", 10**9)
    for one, other in zip(maps, discriminator(x), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
