"""Sharpness, worked out by hand."""

import math

import pytest
import torch

from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.metric import Setup, Videos


def sharpness(*frames: torch.Tensor, real: torch.Tensor) -> dict[str, float]:
    """Of one sample with these frames, beside a real clip of one frame, repeated."""
    metric = METRICS["sharpness"].load()("sharpness", Setup(len(frames), 1))
    for video, is_real in ((torch.stack([real] * len(frames)), True), (torch.stack(frames), False)):
        metric.update(Videos(video[None, :, None], {}), real=is_real)
    return metric.compute()


def test_energy_is_the_mean_square_across_plus_down():
    """Real: differences across 1, -1 | 0, 2 and down 0, -1, 2, so (1 + 1 + 0 + 4) / 4 + (0 + 1 + 4) / 3 = 19 / 6."""
    real = torch.tensor([[0.0, 1, 0], [0, 0, 2]])
    assert sharpness(real, real=real) == {"sharpness": pytest.approx(1)}
    # half the contrast has a quarter of the energy; a flat frame has none: the mean of 1/4 and 0
    assert sharpness(real / 2 + 3, torch.zeros(2, 3), real=real) == {"sharpness": pytest.approx(1 / 8)}
    # one step across of 2 in each row: 2 * 4 / 4 = 2, and nothing down
    step = torch.tensor([[0.0, 0, 2], [0, 0, 2]])
    assert sharpness(step, real=real)["sharpness"] == pytest.approx(2 / (19 / 6))


def test_a_mean_of_two_futures_is_blurred():
    left, right = torch.zeros(8, 8), torch.zeros(8, 8)
    left[2:6, 1:3], right[2:6, 5:7] = 1, 1
    assert sharpness((left + right) / 2, real=left)["sharpness"] == pytest.approx(0.5)  # two edges of half the height


def test_black_real_clips_have_no_sharpness():
    assert math.isnan(sharpness(torch.ones(2, 3), real=torch.zeros(2, 3))["sharpness"])
