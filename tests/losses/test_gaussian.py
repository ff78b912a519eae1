"""Terms of the variational bound against hand-worked numbers and torch.distributions."""

import math

import pytest
import torch

from zoo.blocks.gaussian import Gaussian, GaussianHead
from zoo.errors import ZooError
from zoo.losses.gaussian import free_bits, kl_divergence, negative_log_likelihood


def gaussian(mean, variance):
    return Gaussian(torch.tensor([mean]), torch.tensor([variance]).log())


def test_kl_divergence_by_hand():
    # KL(N(1, 4) || N(0, 1)) = (4 + 1 - 1 - ln 4) / 2, and in reverse (1/4 + 1/4 - 1 + ln 4) / 2
    wide, narrow = gaussian(1.0, 4.0), gaussian(0.0, 1.0)
    assert kl_divergence(wide, narrow).item() == pytest.approx((4 - math.log(4)) / 2)
    assert kl_divergence(narrow, wide).item() == pytest.approx((-0.5 + math.log(4)) / 2)


def test_kl_divergence_per_dimension_equals_torch_distributions():
    torch.manual_seed(0)
    q, p = (Gaussian(torch.randn(2, 3, 5), torch.randn(2, 3, 5)) for _ in range(2))
    normals = [torch.distributions.Normal(g.mean, torch.exp(0.5 * g.log_variance)) for g in (q, p)]
    expected = torch.distributions.kl_divergence(*normals)
    assert torch.allclose(kl_divergence(q, p), expected, atol=1e-5)


def test_kl_divergence_of_a_gaussian_to_itself_is_zero():
    q = Gaussian(torch.tensor([0.3, -2.0]), torch.tensor([-8.0, 8.0]))
    assert torch.equal(kl_divergence(q, q), torch.zeros(2))


def test_gaussian_sample_is_mean_plus_scaled_noise():
    q = gaussian(1.0, 4.0)
    noise = torch.tensor([3.0])
    assert q.sample(noise).item() == pytest.approx(7.0)
    assert q.sample(noise, temperature=0.5).item() == pytest.approx(4.0)
    assert q.sample(noise, temperature=0.0).item() == 1.0


@pytest.mark.parametrize(
    ("likelihood", "distribution"), [("laplace", torch.distributions.Laplace), ("gaussian", torch.distributions.Normal)]
)
def test_likelihood_equals_torch_distributions(likelihood, distribution):
    torch.manual_seed(0)
    images, means = torch.rand(2, 2, 3, 4, 4)
    expected = -distribution(means, 0.3).log_prob(images).sum((1, 2, 3))
    assert torch.allclose(negative_log_likelihood(images, means, likelihood, 0.3), expected, atol=1e-4)


def test_likelihood_by_hand():
    images, means = torch.full((1, 1, 1, 2), 0.5), torch.zeros(1, 1, 1, 2)
    # two pixels with an error of 0.5: 0.5 / 0.25 + ln 0.5, and 0.25 / (2 · 0.0625) + ½ ln(2 π 0.0625)
    assert negative_log_likelihood(images, means, "laplace", 0.25).item() == pytest.approx(2 * (2 + math.log(0.5)))
    assert negative_log_likelihood(images, means, "gaussian", 0.25).item() == pytest.approx(
        2 * (2 + 0.5 * math.log(2 * math.pi * 0.0625))
    )


def test_unknown_likelihood_is_rejected():
    with pytest.raises(ZooError, match=r"model.likelihood=gausian is not a choice. Did you mean `gaussian`"):
        negative_log_likelihood(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), "gausian", 1.0)


def test_free_bits_clamp_the_average_divergence_of_each_dimension():
    # two clips of one frame; the dimensions have 0.3 and 0.02 nats on average, of which 0.1 are free
    divergence = torch.tensor([[[0.6, 0.04]], [[0.0, 0.0]]])
    assert free_bits(divergence, 0.0).item() == pytest.approx(0.32)
    assert free_bits(divergence, 0.1).item() == pytest.approx(0.4)


def test_gaussian_head_clamps_the_log_variance():
    head = GaussianHead(1, 1, 2, (-3.0, 2.0))
    with torch.no_grad():
        head.out.weight.zero_()
        head.out.bias.copy_(torch.tensor([0.5, 0.5, -9.0, 9.0]))
    absolute = head(torch.zeros(1, 1))
    assert absolute.log_variance.tolist() == [[-3.0, 2.0]]
    assert absolute.mean.tolist() == [[0.5, 0.5]]
    relative = head(torch.zeros(1, 1), Gaussian(torch.ones(1, 2), torch.tensor([[7.0, -7.5]])))
    assert relative.mean.tolist() == [[1.5, 1.5]]
    assert relative.log_variance.tolist() == [[-2.0, 1.5]]
