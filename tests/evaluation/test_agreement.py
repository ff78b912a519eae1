"""Agreement with third-party implementations on the same inputs. docs/reference/metrics.md has the table.

Shapes: N frames, C channels, H x W pixels, D features, K classes.
"""

from functools import lru_cache

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
import torch.nn.functional as F
from pytorch_msssim import ms_ssim as other_ms_ssim
from pytorch_msssim import ssim as other_ssim
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import mmd2
from torch_fidelity.metric_prc import calculate_precision_recall_full

from tests.evaluation.test_distribution_metrics import measure, setup
from zoo.data.base import build_set
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.metric import Setup
from zoo.evaluation.metrics.attribute_scores import entropy
from zoo.evaluation.metrics.frechet import frechet_distance, gaussian_statistics, mean_and_covariance
from zoo.evaluation.metrics.inception import VideoIS
from zoo.evaluation.metrics.kernel import squared_mmd
from zoo.evaluation.metrics.mind import directions, monge_distance
from zoo.evaluation.metrics.precision_recall import share_within
from zoo.evaluation.metrics.warping import warping_error
from zoo.flow.occlusion import end_point_error
from zoo.flow.warp import warp

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
def test_sums_of_errors_agree_with_the_formulas_of_openstl(change):
    """They are means over batch and time, and sums over the rest, on [0, 1]."""
    real, generated = street(64), change(street(64))
    error = (to_numpy(generated) - to_numpy(real))[None]
    for name, each in (("mse_sum", error**2), ("mae_sum", abs(error))):
        found = ours(name, generated, real)
        assert sum(found) / len(found) == pytest.approx(each.mean((0, 1)).sum(), rel=1e-5)


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
def test_ssim_range2_agrees_with_the_former_default_of_scikit_image(change):
    """For pixels of type float, data_range was 2 if none was given; today it must be given."""
    real, generated = street(64), change(street(64))
    pairs = zip(to_numpy(generated), to_numpy(real), strict=True)
    expected = [structural_similarity(*pair, data_range=2, channel_axis=0) for pair in pairs]
    assert ours("ssim_range2", generated, real) == pytest.approx(expected, abs=1e-4)


@every_change
def test_ms_ssim_agrees_with_pytorch_msssim(change):
    real, generated = street(192), change(street(192))
    unit = [torch.from_numpy(to_numpy(frames)) for frames in (generated, real)]
    expected = other_ms_ssim(*unit, data_range=1, size_average=False).tolist()
    assert ours("ms_ssim", generated, real) == pytest.approx(expected, abs=1e-4)


# ---------------------------------------------------------------- distributions


def features(count: int, size: int, shift: float = 0.0, condition: float = 1.0, rank: int | None = None) -> np.ndarray:
    """Rows of correlated features, (N, D). condition: ratio of the largest and the smallest variance."""
    numbers = np.random.default_rng(count + size + int(10 * shift))
    rank = rank or size
    spread = np.geomspace(1, 1 / condition, rank) ** 0.5
    axes = np.linalg.qr(numbers.normal(size=(size, size)))[0][:rank]
    return numbers.normal(size=(count, rank)) * spread @ axes + shift


def our_frechet(one: np.ndarray, other: np.ndarray) -> float:
    statistics = [mean_and_covariance(gaussian_statistics(torch.from_numpy(rows))) for rows in (one, other)]
    return frechet_distance(*statistics[0], *statistics[1])


@pytest.mark.parametrize(
    ("count", "size", "condition", "shift"),
    [(500, 60, 1, 0.1), (70, 60, 1, 0.1), (500, 30, 1e8, 0.01), (500, 30, 1, 1e3)],
)
def test_frechet_distance_agrees_with_torch_fidelity_and_the_root_of_scipy(count, size, condition, shift):
    """pytorch-fid, clean-fid and StyleGAN-V take scipy's root of the product of the covariances, too."""
    one, other = features(count, size, shift, condition), features(count, size, shift + 0.1, condition)
    statistics = [fid_features_to_statistics(torch.from_numpy(rows)) for rows in (one, other)]
    found = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert our_frechet(one, other) == pytest.approx(found, rel=1e-6)
    root = scipy.linalg.sqrtm(statistics[0]["sigma"] @ statistics[1]["sigma"]).real
    traces = np.trace(statistics[0]["sigma"] + statistics[1]["sigma"] - 2 * root)
    expected = ((one.mean(0) - other.mean(0)) ** 2).sum() + traces
    assert our_frechet(one, other) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("count", "size", "shift"), [(60, 16, 0.0), (60, 16, 0.3), (200, 64, 0.1)])
def test_kernel_distance_agrees_with_torch_fidelity(count, size, shift):
    one, other = features(count, size), features(count, size, shift + 0.01)
    kernels = [(x @ y.T / size + 1) ** 3 for x, y in ((one, one), (one, other), (other, other))]
    expected = mmd2(*kernels, mmd_est="unbiased")
    rows, clips = [torch.from_numpy(each) for each in (one, other)], torch.arange(count)
    assert squared_mmd(*rows, clips, clips + count) == pytest.approx(expected, rel=1e-9)
    paired = mmd2(*kernels, mmd_est="u-statistic")
    assert squared_mmd(*rows, clips, clips) == pytest.approx(paired, rel=1e-9)


@pytest.mark.parametrize("sharpness", [0.5, 3.0, 20.0])
def test_inception_score_and_entropies_agree_with_torch_fidelity_and_scipy(sharpness):
    logits = torch.from_numpy(sharpness * features(50, 9))
    probabilities = logits.softmax(1)
    found = measure(VideoIS("video_is", setup(9, classifies="clips")), probabilities, probabilities)["video_is"]
    expected = isc_features_to_metric(logits, splits=1, shuffle=False)["inception_score_mean"]
    assert found == pytest.approx(expected, rel=1e-6)
    assert entropy(probabilities).tolist() == pytest.approx(scipy.stats.entropy(probabilities, axis=1).tolist())


@pytest.mark.parametrize(("count", "shift"), [((80, 80), 0.0), ((80, 50), 0.5), ((50, 80), 2.0)])
def test_precision_and_recall_agree_with_torch_fidelity(count, shift):
    generated, real = (torch.from_numpy(features(*size)) for size in ((count[0], 6), (count[1], 6, shift)))
    precision, recall = calculate_precision_recall_full(generated, real, neighborhood=3)
    assert share_within(generated, real) == pytest.approx(precision)
    assert share_within(real, generated) == pytest.approx(recall)


def test_mind_agrees_with_its_published_formula():
    """Monge Inception Distance, as torch-fidelity 0.5 will have it, in plain numpy along our directions."""
    one, other = features(90, 20), features(90, 20, 0.3)
    sorted_along = [np.sort(rows @ directions(20).numpy(), axis=0) for rows in (one, other)]
    expected = 3 * 20 * ((sorted_along[0] - sorted_along[1]) ** 2).mean()
    assert monge_distance(torch.from_numpy(one), torch.from_numpy(other)) == pytest.approx(expected, rel=1e-9)


# ---------------------------------------------------------------- flow


def plain_warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """``image(x + flow(x))``, pixel by pixel: image (C, H, W), flow (2, H, W)."""
    height, width = image.shape[1:]
    warped = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            x = min(max(column + flow[0, row, column], 0), width - 1)
            y = min(max(row + flow[1, row, column], 0), height - 1)
            left, top = int(x), int(y)
            right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
            above = (1 - x + left) * image[:, top, left] + (x - left) * image[:, top, right]
            below = (1 - x + left) * image[:, bottom, left] + (x - left) * image[:, bottom, right]
            warped[:, row, column] = (1 - y + top) * above + (y - top) * below
    return warped


def test_warp_and_warping_error_agree_with_numpy_and_grid_sample():
    numbers = torch.Generator().manual_seed(0)
    video = torch.rand(1, 2, 3, 9, 13, generator=numbers, dtype=torch.float64) * 2 - 1
    flow = 4 * torch.randn(1, 1, 2, 9, 13, generator=numbers, dtype=torch.float64)
    visible = (torch.rand(1, 1, 1, 9, 13, generator=numbers) > 0.3).double()
    expected = plain_warp(video[0, 0].numpy(), flow[0, 0].numpy())
    np.testing.assert_allclose(warp(video[0, 0], flow[0, 0]).numpy(), expected, atol=1e-12)
    rows, columns = torch.meshgrid(torch.arange(9), torch.arange(13), indexing="ij")
    grid = torch.stack([(columns + flow[0, 0, 0]) / 6 - 1, (rows + flow[0, 0, 1]) / 4 - 1], -1)
    sampled = F.grid_sample(video[:, 0], grid[None], align_corners=True, padding_mode="border")
    np.testing.assert_allclose(warp(video[:, 0], flow[:, 0]).numpy(), sampled.numpy(), atol=1e-12)
    error = np.abs(video[0, 1].numpy() - expected).mean(0) * visible[0, 0, 0].numpy()
    found = float(warping_error(video, flow, visible)[0, 0])
    assert found == pytest.approx(error.sum() / visible.numpy().sum(), rel=1e-9)


def test_end_point_error_agrees_with_numpy():
    flow, truth = torch.randn(2, 3, 2, 9, 13, generator=torch.Generator().manual_seed(0))
    expected = np.sqrt(((flow - truth).numpy() ** 2).sum(1)).mean()
    assert float(end_point_error(flow, truth)) == pytest.approx(expected, rel=1e-6)
