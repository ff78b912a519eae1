"""R1: values worked out by hand, and its own gradient."""

import pytest
import torch

from zoo.losses.gradient_penalty import r1_penalty


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
