"""Agreement with third-party implementations on the same inputs. docs/reference/metrics.md has the table.

Shapes: N frames, C channels, H x W pixels, D features, K classes.
"""

from functools import lru_cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_msssim import ms_ssim as other_ms_ssim
from pytorch_msssim import ssim as other_ssim
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from zoo.data.base import build_set
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.metric import Setup

# ---------------------------------------------------------------- pixels


@lru_cache
def street(side: int) -> Tensor:
    """Frames of the puppets' street, (N, 3, H, W)."""
    config = PuppetsConfig(view="street", height=side, width=side, frames=2)
    clips = build_set(config, "val", frozenset({"video"}), 0)
    return torch.cat([clips.clip(number, 0, 2)["video"] for number in range(3)])


def blurred(frames: Tensor) -> Tensor:
    return F.avg_pool2d(frames, 3, 1, 1, count_include_pad=False)


def noisy(frames: Tensor) -> Tensor:
    return (frames + 0.1 * torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)


def darker(frames: Tensor) -> Tensor:
    return (frames - 0.1).clamp(-1, 1)


def another_clip(frames: Tensor) -> Tensor:
    return frames.roll(2, 0)


every_change = pytest.mark.parametrize("change", [blurred, noisy, darker, another_clip])


def ours(name: str, generated: Tensor, real: Tensor) -> list[float]:
    """A paired metric of each frame."""
    return METRICS[name].load()(name, Setup(1, len(real))).compare(generated, real).tolist()


def to_numpy(frames: Tensor) -> np.ndarray:
    """Frames in [0, 1]."""
    return (frames.double().numpy() + 1) / 2


@every_change
def test_psnr_agrees_with_scikit_image(change):
    real, generated = street(64), change(street(64))
    pairs = zip(to_numpy(real), to_numpy(generated), strict=True)
    expected = [peak_signal_noise_ratio(*pair, data_range=1) for pair in pairs]
    assert ours("psnr", generated, real) == pytest.approx(expected, abs=1e-4)


@every_change
@pytest.mark.parametrize("side", [64, 192])
def test_ssim_agrees_with_scikit_image_and_pytorch_msssim(change, side):
    real, generated = street(side), change(street(side))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 0}
    pairs = zip(to_numpy(generated), to_numpy(real), strict=True)
    expected = [structural_similarity(*pair, data_range=1, **settings) for pair in pairs]
    assert ours("ssim", generated, real) == pytest.approx(expected, abs=1e-4)
    unit = [torch.from_numpy(to_numpy(frames)) for frames in (generated, real)]
    expected = other_ssim(*unit, data_range=1, size_average=False).tolist()
    assert ours("ssim", generated, real) == pytest.approx(expected, abs=1e-4)


@every_change
def test_ms_ssim_agrees_with_pytorch_msssim(change):
    real, generated = street(192), change(street(192))
    unit = [torch.from_numpy(to_numpy(frames)) for frames in (generated, real)]
    expected = other_ms_ssim(*unit, data_range=1, size_average=False).tolist()
    assert ours("ms_ssim", generated, real) == pytest.approx(expected, abs=1e-4)
