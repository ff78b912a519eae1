"""Optimised computations (merged convolutions, shared passes) give the results of the plain ones."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zoo.blocks.convolution import PerImageBatchNorm, find_norm
from zoo.blocks.cpu_convolution import FewChannelConv2d, OneHotConv2d
from zoo.blocks.patchgan import MultiScaleDiscriminator
from zoo.testing import tiny_clip, tiny_model
from zoo.types import SampleRequest


@pytest.mark.parametrize("width", [16, 14])  # 12 output columns, computed four at a time, and 10, computed one by one
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_few_channel_convolution_equals_a_plain_convolution(width, channels):
    """Values, and gradients of images, kernels and biases, for an asymmetric kernel."""
    torch.manual_seed(0)
    layer = FewChannelConv2d(6, channels, 5).double()
    x = torch.randn(2, 6, 9, width, dtype=torch.float64, requires_grad=True)
    inputs = [x, layer.weight, layer.bias]
    found, plain = layer(x), F.conv2d(x, layer.weight, layer.bias)
    assert torch.allclose(found, plain)
    upstream = torch.randn_like(plain)
    ours, theirs = (torch.autograd.grad(y, inputs, upstream) for y in (found, plain))
    assert all(torch.allclose(a, b) for a, b in zip(ours, theirs, strict=True))


def test_two_heads_in_one_pass_equal_two_passes():
    torch.manual_seed(0)
    two, one, x = (
        FewChannelConv2d(6, 2, 5).double(),
        FewChannelConv2d(6, 1, 5).double(),
        torch.randn(2, 6, 9, 16).double(),
    )
    for merged, separate in zip(two.forward_with(one, x), (two(x), one(x)), strict=True):
        assert merged.shape == separate.shape
        assert torch.allclose(merged, separate)


def test_discriminator_normalises_each_part_of_a_batch_separately():
    """Parts of different brightness, with batch norm: equal to separate passes, and unlike one mixed batch."""
    torch.manual_seed(0)
    discriminator = MultiScaleDiscriminator(3, 8, 2, 2, find_norm("batch", "batch")).double().train()
    parts = [scale * torch.randn(2, 3, 32, 32, dtype=torch.float64) + scale for scale in (1, 5)]
    together, separate = discriminator(*parts), [discriminator(part)[0] for part in parts]
    (mixed,) = discriminator(torch.cat(parts))
    for result, expected in zip(together, separate, strict=True):
        for maps, reference in zip(result, expected, strict=True):
            assert all(torch.allclose(a, b) for a, b in zip(maps, reference, strict=True))
    assert not torch.allclose(mixed[0][-1][:2], together[0][0][-1])


def test_per_image_batch_norm_normalises_each_image_separately_in_evaluation():
    """Each by its own mean and variance, whatever else is in the batch."""
    norm = PerImageBatchNorm(3).eval()
    x = torch.randn(3, 3, 8, 8) * torch.tensor([1.0, 4.0, 9.0]).view(3, 1, 1, 1)
    by_hand = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True, unbiased=False) + norm.eps).sqrt()
    assert torch.allclose(norm(x), by_hand, atol=1e-5)
    assert torch.allclose(norm(x[1:2]), by_hand[1:2], atol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["plain", "channels last"])
def test_per_image_batch_norm_is_accurate_on_large_images(layout):
    """In both memory layouts."""
    norm, draw = PerImageBatchNorm(8).eval(), torch.Generator().manual_seed(0)
    x = (torch.randn(1, 8, 256, 512, generator=draw) + 3).contiguous(memory_format=layout)
    with torch.no_grad():
        nn.init.uniform_(norm.weight, 0.5, 2.0)
        nn.init.uniform_(norm.bias)
        y = norm(x)
        expected = F.batch_norm(x.double(), None, None, norm.weight.double(), norm.bias.double(), training=True)
    assert (y - expected).abs().max() < 3e-6


def test_each_optimizer_steps_on_its_own_losses_only(monkeypatch):
    """The loss of a is a·b, that of b is 3·a·b: the gradients are b and 3a at the weights before either step."""
    model = tiny_model("vid2vid")
    a, b = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(5.0))
    optimizers = [torch.optim.SGD([a], lr=0.1), torch.optim.SGD([b], lr=0.1)]
    monkeypatch.setattr(model, "optimizers", lambda: optimizers)
    monkeypatch.setattr(model, "manual_backward", lambda loss, **how: loss.backward(**how))
    gradients: list[torch.Tensor | None] = []
    optimizers[0].register_step_post_hook(lambda *_: gradients.append(b.grad))
    for before_a, before_b in ((2.0, 5.0), (1.5, 4.4)):
        product = a.clone() * b.clone()  # shared by both losses, like the generated images in a GAN
        model.optimizer_steps({"a": product}, {"b": 3 * product})
        assert a.item() == pytest.approx(before_a - 0.1 * before_b)
        assert b.item() == pytest.approx(before_b - 0.1 * 3 * before_a)
    assert gradients[0] is None  # the first backward pass left no gradient on b


def one_hot_maps(others: int) -> torch.Tensor:
    """Two images with two frames each of three classes and ``others`` dense channels: (2, 2·(3 + others), 9, 8)."""
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 3, (2, 2, 9, 8), generator=draw)
    rest = torch.randn(2, 2, others, 9, 8, generator=draw)
    return torch.cat([F.one_hot(ids, 3).movedim(-1, 2).float(), rest], 2).flatten(1, 2)


@pytest.mark.parametrize("others", [0, 2])
def test_one_hot_convolution_equals_a_plain_convolution(others, monkeypatch):
    layer = OneHotConv2d(2 * (3 + others), 5, 3, frames=2, classes=3)
    maps = one_hot_maps(others)
    expected = F.conv2d(maps, layer.weight, layer.bias)
    assert torch.equal(layer(maps), expected)  # with gradients, it is a plain convolution
    monkeypatch.setattr(F, "embedding_bag", counter := CallCounter(F.embedding_bag))
    with torch.no_grad():
        assert torch.allclose(layer(maps), expected, atol=1e-6)
        assert counter.times == 1
        layer.classes = 0
        assert torch.equal(layer(maps), expected)
    assert counter.times == 1


class CallCounter:
    """Calls a function and counts the calls."""

    def __init__(self, function):
        self.function, self.times = function, 0

    def __call__(self, *arguments, **named):
        self.times += 1
        return self.function(*arguments, **named)


def test_vid2vid_samples_with_one_hot_convolutions(monkeypatch):
    """One look-up per generated frame and map encoder, at the finest scale only; the video stays the same."""
    model, clip = tiny_model("vid2vid").eval(), tiny_clip("vid2vid")
    model.clips_seen = 10**6  # all scales are trained
    request = SampleRequest(4, clip, context=1)
    monkeypatch.setattr(F, "embedding_bag", counter := CallCounter(F.embedding_bag))
    video = model.sample(request).video
    layers = [layer for layer in model.generator.modules() if isinstance(layer, OneHotConv2d)]
    one_hot = [layer for layer in layers if layer.classes]
    assert 0 < len(one_hot) < len(layers)
    assert counter.times == 3 * len(one_hot)
    for layer in layers:
        layer.classes = 0
    assert torch.allclose(model.sample(request).video, video, atol=1e-5)
