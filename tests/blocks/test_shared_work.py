"""Work that is done once for several purposes gives what it would give done for each alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zoo.blocks.convolution import BatchNorm, find_norm
from zoo.blocks.patchgan import MultiScaleDiscriminator
from zoo.blocks.processor import FewChannels, OneHotConv2d
from zoo.testing import tiny_clip, tiny_model
from zoo.types import SampleRequest


@pytest.mark.parametrize("width", [16, 14])  # columns of the result: 12, which are made four at a time, and 10
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_four_columns_at_once_are_the_plain_convolution(width, channels):
    """Values and gradients of pictures, kernels and biases, for a kernel that is no mirror image of itself."""
    torch.manual_seed(0)
    layer = FewChannels(6, channels, 5).double()
    x = torch.randn(2, 6, 9, width, dtype=torch.float64, requires_grad=True)
    inputs = [x, layer.weight, layer.bias]
    made, plain = layer(x), F.conv2d(x, layer.weight, layer.bias)
    assert torch.allclose(made, plain)
    upstream = torch.randn_like(plain)
    ours, theirs = (torch.autograd.grad(y, inputs, upstream) for y in (made, plain))
    assert all(torch.allclose(a, b) for a, b in zip(ours, theirs, strict=True))


def test_two_heads_side_by_side_make_what_each_makes_alone():
    torch.manual_seed(0)
    two, one, x = FewChannels(6, 2, 5).double(), FewChannels(6, 1, 5).double(), torch.randn(2, 6, 9, 16).double()
    for made, alone in zip(two.beside(one, x), (two(x), one(x)), strict=True):
        assert made.shape == alone.shape
        assert torch.allclose(made, alone)


def test_discriminator_normalises_each_part_by_itself():
    """Parts of other brightness, through batch norm: as in passes of their own, and not as in one batch."""
    torch.manual_seed(0)
    discriminator = MultiScaleDiscriminator(3, 8, 2, 2, find_norm("batch", "batch")).double().train()
    parts = [scale * torch.randn(2, 3, 32, 32, dtype=torch.float64) + scale for scale in (1, 5)]
    together, alone = discriminator(*parts), [discriminator(part)[0] for part in parts]
    (mixed,) = discriminator(torch.cat(parts))
    for result, expected in zip(together, alone, strict=True):
        for maps, wanted in zip(result, expected, strict=True):
            assert all(torch.allclose(a, b) for a, b in zip(maps, wanted, strict=True))
    assert not torch.allclose(mixed[0][-1][:2], together[0][0][-1])


def test_pictures_in_use_are_normalised_each_by_itself():
    """By its own mean and variance, whichever pictures stand beside it."""
    norm = BatchNorm(3).eval()
    x = torch.randn(3, 3, 8, 8) * torch.tensor([1.0, 4.0, 9.0]).view(3, 1, 1, 1)
    by_hand = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True, unbiased=False) + norm.eps).sqrt()
    assert torch.allclose(norm(x), by_hand, atol=1e-5)
    assert torch.allclose(norm(x[1:2]), by_hand[1:2], atol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["plain", "channels last"])
def test_large_pictures_are_normalised_to_the_last_digits(layout):
    """Whichever way they lie in memory."""
    norm, draw = BatchNorm(8).eval(), torch.Generator().manual_seed(0)
    x = (torch.randn(1, 8, 256, 512, generator=draw) + 3).contiguous(memory_format=layout)
    with torch.no_grad():
        nn.init.uniform_(norm.weight, 0.5, 2.0)
        nn.init.uniform_(norm.bias)
        y = norm(x)
        expected = F.batch_norm(x.double(), None, None, norm.weight.double(), norm.bias.double(), training=True)
    assert (y - expected).abs().max() < 3e-6


def test_each_optimizer_follows_its_own_losses_alone(monkeypatch):
    """a·b is the loss of a, 3·a·b that of b, both from a = 2 and b = 5: gradients b and 3a, whatever the other did."""
    model = tiny_model("vid2vid")
    a, b = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(5.0))
    optimizers = [torch.optim.SGD([a], lr=0.1), torch.optim.SGD([b], lr=0.1)]
    monkeypatch.setattr(model, "optimizers", lambda: optimizers)
    monkeypatch.setattr(model, "manual_backward", lambda loss, **how: loss.backward(**how))
    seen: list[torch.Tensor | None] = []
    optimizers[0].register_step_post_hook(lambda *_: seen.append(b.grad))
    for before_a, before_b in ((2.0, 5.0), (1.5, 4.4)):
        product = a.clone() * b.clone()  # as in the discriminators, whose way back needs no weight of the rollout
        model.optimizer_steps({"a": product}, {"b": 3 * product})
        assert a.item() == pytest.approx(before_a - 0.1 * before_b)
        assert b.item() == pytest.approx(before_b - 0.1 * 3 * before_a)
    assert seen[0] is None  # the first one's way back made no gradient of the other's


def one_hot_maps(others: int) -> torch.Tensor:
    """Of two pictures, two frames of three classes each, and other channels behind these: (2, 2·(3 + others), 9, 8)."""
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 3, (2, 2, 9, 8), generator=draw)
    rest = torch.randn(2, 2, others, 9, 8, generator=draw)
    return torch.cat([F.one_hot(ids, 3).movedim(-1, 2).float(), rest], 2).flatten(1, 2)


@pytest.mark.parametrize("others", [0, 2])
def test_rows_of_a_kernel_add_up_to_the_convolution_of_one_hot_maps(others, monkeypatch):
    layer = OneHotConv2d(2 * (3 + others), 5, 3, frames=2, classes=3)
    maps = one_hot_maps(others)
    expected = F.conv2d(maps, layer.weight, layer.bias)
    assert torch.equal(layer(maps), expected)  # with gradients it is one
    monkeypatch.setattr(F, "embedding_bag", seen := Seen(F.embedding_bag))
    with torch.no_grad():
        assert torch.allclose(layer(maps), expected, atol=1e-6)
        assert seen.times == 1
        layer.classes = 0
        assert torch.equal(layer(maps), expected)
    assert seen.times == 1


class Seen:
    """Counts calls."""

    def __init__(self, function):
        self.function, self.times = function, 0

    def __call__(self, *arguments, **named):
        self.times += 1
        return self.function(*arguments, **named)


def test_vid2vid_in_use_looks_rows_up(monkeypatch):
    """Once a frame in each encoder of its maps, at the finest scale alone, and paints the same."""
    model, clip = tiny_model("vid2vid").eval(), tiny_clip("vid2vid")
    model.clips_seen = 10**6  # all scales are trained
    request = SampleRequest(4, clip, context=1)
    monkeypatch.setattr(F, "embedding_bag", seen := Seen(F.embedding_bag))
    video = model.sample(request).video
    layers = [layer for layer in model.generator.modules() if isinstance(layer, OneHotConv2d)]
    one_hot = [layer for layer in layers if layer.classes]
    assert 0 < len(one_hot) < len(layers)
    assert seen.times == 3 * len(one_hot)
    for layer in layers:
        layer.classes = 0
    assert torch.allclose(model.sample(request).video, video, atol=1e-5)
