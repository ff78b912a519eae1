"""R1: values worked out by hand, and its own gradient."""

import pytest
import torch

from zoo.losses.gradient_penalty import r1_penalty, squared_gradients, wgan_gp_penalty


def test_r1_of_a_linear_score():
    """∇ (3a + 4b) = (3, 4) for every sample: half of 25."""
    x = torch.randn(5, 2, requires_grad=True)
    assert r1_penalty(x @ torch.tensor([3.0, 4.0]), x).item() == pytest.approx(12.5)


def test_r1_is_a_mean_over_samples_of_summed_scores():
    """Scores a² and a² of a = 1 and a = 2: gradients 4 and 8, ½ · (16 + 64) / 2 = 20."""
    x = torch.tensor([[1.0], [2.0]], requires_grad=True)
    assert r1_penalty(torch.cat([x**2, x**2], 1), x).item() == pytest.approx(20)


def test_r1_trains_the_weights():
    """½ w² has the gradient w."""
    weight, x = torch.tensor(3.0, requires_grad=True), torch.ones(4, 1, requires_grad=True)
    r1_penalty(weight * x, x).backward()
    assert weight.grad.item() == pytest.approx(3)


def test_wgan_gp_wants_gradients_of_norm_1():
    """Gradients (3, 4) and (6, 8): (5 - 1)² and (10 - 1)², on average 48.5."""
    x = torch.randn(2, 2, requires_grad=True)
    scores = x @ torch.tensor([3.0, 4.0]) * torch.tensor([1.0, 2.0])
    assert wgan_gp_penalty(scores, x).item() == pytest.approx(48.5)


def test_squared_gradients_of_several_inputs():
    """Scores a² of a = 3 and 2 b of two b: 36, and 4 and 4."""
    a, b = torch.tensor([[3.0]], requires_grad=True), torch.zeros(2, 1, requires_grad=True)
    squares = squared_gradients(torch.cat([a**2, 2 * b]), [a, b])
    assert [each.tolist() for each in squares] == [[36.0], [4.0, 4.0]]
