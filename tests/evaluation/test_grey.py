"""Metrics of grey videos, (B, T, 1, H, W), with values worked out by hand.

Shapes: B clips, D draws, T frames, N frames, H x W pixels; all sizes differ.
"""

import math

import pytest
import torch

from zoo.evaluation.metric import Setup, Videos
from zoo.evaluation.metrics.diversity import Diversity
from zoo.evaluation.metrics.memorisation import nearest_distances, thumbnails
from zoo.evaluation.metrics.motion import Flicker, Motion
from zoo.evaluation.metrics.pixels import L1, PSNR
from zoo.evaluation.metrics.ssim import SSIM
from zoo.evaluation.metrics.warping import warping_error
from zoo.flow.estimators import DisFlow, FlowEstimator, RaftFlow
from zoo.grey import to_rgb

B, T, H, W = 2, 4, 32, 48


class ToTheRight(FlowEstimator):
    """Everything moves right by three pixels per frame."""

    name = "right"

    def __call__(self, video):
        flow = torch.zeros(len(video), video.shape[1] - 1, 2, *video.shape[-2:])
        flow[:, :, 0] = -3
        return flow, torch.ones_like(flow[:, :, :1])


def moving(seed=0):
    """A smooth grey texture that moves right by three pixels per frame."""
    texture = torch.rand(B, 1, H // 4, W // 4, generator=torch.Generator().manual_seed(seed)) - 0.5
    texture = torch.nn.functional.interpolate(texture, (H, W), mode="bicubic").clamp(-0.9, 0.9)
    return torch.stack([texture.roll(3 * t, -1) for t in range(T)], 1)


def test_paired_metrics_by_hand():
    """Half of each frame is off by 0.5: the mean error is 0.25 and the mean squared error 0.125."""
    real = torch.full((B * T, 1, H, W), -0.25)
    generated = real.clone()
    generated[..., : W // 2] += 0.5
    setup = Setup(T, B)
    assert L1("l1", setup).compare(generated, real).tolist() == pytest.approx([0.25] * B * T)
    expected = 10 * math.log10(4 / 0.125)
    assert PSNR("psnr", setup).compare(generated, real).tolist() == pytest.approx([expected] * B * T)


def test_ssim_of_two_flat_frames_by_hand():
    """Without variance only the luminance is left: (2 ab + C1) / (a² + b² + C1) on [0, 1], where C1 = 0.01²."""
    one, other = (torch.full((3, 1, H, W), value) for value in (0.5, 0.25))  # 0.75 and 0.625 on [0, 1]
    expected = (2 * 0.75 * 0.625 + 0.0001) / (0.75**2 + 0.625**2 + 0.0001)
    assert SSIM("ssim", Setup(T, B)).compare(one, other).tolist() == pytest.approx([expected] * 3, rel=1e-7)


@pytest.mark.parametrize("metric", [L1, PSNR, SSIM])
def test_paired_metrics_are_those_of_three_equal_channels(metric):
    one, other = moving(0).flatten(0, 1), moving(1).flatten(0, 1)
    compare = metric("value", Setup(T, B)).compare
    torch.testing.assert_close(compare(one, other), compare(to_rgb(one), to_rgb(other)), rtol=1e-4, atol=1e-6)


def test_diversity_by_hand():
    draws = torch.zeros(B, 3, T, 1, H, W)
    draws[:, 1] += 0.5
    draws[:, 2] += 0.75  # differences 0.5, 0.75 and 0.25
    metric = Diversity("diversity", Setup(T, B, draws=3))
    for number, video in enumerate(draws.unbind(1)):
        metric.update(video, draws[:, 0], number)
    assert metric.compute()["diversity"] == pytest.approx(0.5)


def test_flicker_motion_and_warping_error_by_hand():
    video = torch.zeros(B, T, 1, H, W)
    video[:, 1] = 0.3  # |0 - 0.6 + 0| and |0.3 - 0 + 0|
    videos, setup = Videos(video, {}), Setup(T, B, flow=ToTheRight())
    assert Flicker("flicker", setup).values(videos, real=False).tolist() == [pytest.approx([0.6, 0.3])] * B
    assert Motion("motion", setup).values(videos, real=False).tolist() == [[3.0] * (T - 1)] * B
    flow, seen = ToTheRight()(video)
    assert warping_error(video, flow, seen).tolist() == [pytest.approx([0.3, 0.3, 0.0])] * B
    seen[..., :3] = 0  # what enters on the left was not in the earlier frame
    torch.testing.assert_close(warping_error(moving(), flow, seen), torch.zeros(B, T - 1), atol=1e-6, rtol=0)


def test_distance_of_thumbnails_by_hand():
    clips, bank = torch.full((1, T, 1, H, W), 0.5), torch.full((1, T, 1, H, W), 0.25)
    assert nearest_distances(thumbnails(clips), thumbnails(bank)).item() == pytest.approx(0.25)


def test_flow_is_that_of_three_equal_channels():
    video = ((moving() + 1) * 127.5).round() / 127.5 - 1
    grey, rgb = DisFlow()(video), DisFlow()(to_rgb(video))
    assert grey[0].shape == (B, T - 1, 2, H, W)
    assert all(torch.equal(one, other) for one, other in zip(grey, rgb, strict=True))
    assert grey[0][:, :, 0, 8:-8, 8:-8].median() == pytest.approx(-3, abs=0.3)
    assert grey[0][:, :, 1, 8:-8, 8:-8].median() == pytest.approx(0, abs=0.3)


def test_raft_gets_three_equal_channels():
    seen = []

    class Network(torch.nn.Module):
        def forward(self, one, other):
            seen.extend([one, other])
            return [torch.zeros(len(one), 2, *one.shape[-2:])]

    estimator = object.__new__(RaftFlow)
    estimator.network = Network()
    frames = torch.rand(B, 1, H, W)
    assert estimator.between(frames, frames).shape == (B, 2, H, W)
    assert all(images.shape[1] == 3 and torch.equal(images[:, 0], images[:, 2]) for images in seen)
