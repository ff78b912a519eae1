"""Work that is done once for several purposes gives what it would give done for each alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zoo.blocks.convolution import BatchNorm, FewChannels, find_norm
from zoo.blocks.patchgan import MultiScaleDiscriminator
from zoo.testing import tiny_model


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


def test_judge_normalises_each_part_by_itself():
    """Parts of other brightness, through batch norm: as in passes of their own, and not as in one batch."""
    torch.manual_seed(0)
    judge = MultiScaleDiscriminator(3, 8, 2, 2, find_norm("batch", "batch")).double().train()
    parts = [scale * torch.randn(2, 3, 32, 32, dtype=torch.float64) + scale for scale in (1, 5)]
    together, alone = judge(*parts), [judge(part)[0] for part in parts]
    (mixed,) = judge(torch.cat(parts))
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
        product = a.clone() * b.clone()  # as in the judges, whose way back needs no weight of the painter
        model.descend({"a": product}, {"b": 3 * product})
        assert a.item() == pytest.approx(before_a - 0.1 * before_b)
        assert b.item() == pytest.approx(before_b - 0.1 * 3 * before_a)
    assert seen[0] is None  # the first one's way back made no gradient of the other's
