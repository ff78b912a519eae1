"""temporal_distance and first_step: values by hand, a slow plain reference, the last given frame, known distortions.

Shapes: B clips, T frames, C channels, H x W pixels.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from tests.helpers.scripts import load_script
from zoo.errors import ZooError
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.choice import Situation, default_metrics, metric_problems
from zoo.evaluation.metric import Setup, Videos
from zoo.evaluation.metrics.key_hash_split import key_hash_split
from zoo.evaluation.metrics.temporal import LARGEST, STEPS, histogram, relative_distance, split_bands
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.suite import Suite
from zoo.settings import EvaluationTools

KEYS = [f"set/video{number}/0" for number in range(20)]
EVEN, ODD = (next(key for key in KEYS if key_hash_split([key]).item() == half) for half in (False, True))


def shades(*values: float) -> Tensor:
    """One clip whose frames are uniform, (1, T, 3, 12, 14)."""
    return torch.tensor(values).view(1, -1, 1, 1, 1).expand(-1, -1, 3, 12, 14)


def measured(name: str, generated: Tensor, real: Tensor, context: int = 0, keys: tuple[str, ...] = (EVEN,)):
    """Values of a metric of samples and real clips, both (B, T, C, H, W) with the given frames."""
    frames = real.shape[1]
    protocol = Protocol("set", "val", len(real), frames, context, 25.0, *real.shape[-2:], 0)
    suite = Suite([name], protocol, Setup(frames - context, len(real), context=context))
    suite.update({"video": real, "key": list(keys)}, [generated])
    return suite.compute()[0].metrics


def test_bands_of_an_impulse_by_hand():
    """A box of 3 x 3 holds 9 pixels in the middle and 4 in a corner, one of 9 x 9 holds 81 and 25."""
    frames = torch.zeros(2, 1, 21, 25, dtype=torch.float64)
    frames[0, 0, 10, 12] = frames[1, 0, 0, 0] = 1
    fine, mid, coarse = split_bands(frames)
    torch.testing.assert_close(fine + mid + coarse, frames)
    assert fine[0, 0, 10, 12] == pytest.approx(1 - 1 / 9)
    assert mid[0, 0, 10, 12] == pytest.approx(1 / 9 - 1 / 81)
    assert coarse[0, 0, 14, 16] == pytest.approx(1 / 81)  # the impulse is the last pixel of this one's box
    assert coarse[0, 0, 15, 12] == fine[0, 0, 12, 12] == 0
    assert fine[1, 0, 0, 0] == pytest.approx(1 - 1 / 4)
    assert mid[1, 0, 0, 0] == pytest.approx(1 / 4 - 1 / 25)
    fine, mid, coarse = split_bands(torch.full((1, 3, 5, 6), 0.5))
    assert max(float(fine.abs().max()), float(mid.abs().max())) < 1e-6
    torch.testing.assert_close(coarse, torch.full((1, 3, 5, 6), 0.5))


def test_relative_distance_by_hand_and_against_scipy():
    """All magnitudes are 1/8 instead of half 1/8 and half 1/2: 3/8 for half of them, relative to a mean of 5/16."""

    def counts(*magnitudes: float) -> Tensor:
        return histogram(torch.tensor(magnitudes).view(1, 1, 1, -1))

    assert float(relative_distance(counts(0.125, -0.125), counts(-0.125, 0.5))) == pytest.approx(0.6)
    assert float(relative_distance(counts(0.0), counts(-0.125, 0.5))) == pytest.approx(1)
    assert float(relative_distance(counts(0.125), counts(0.125, 0.125))) == 0
    # Real clips that stand still count as having a mean of 0.001.
    small = LARGEST * (8 / STEPS) ** 2
    assert float(relative_distance(counts(small), counts(0.0))) == pytest.approx(small / 0.001, rel=1e-4)
    numbers = torch.Generator().manual_seed(0)
    one, other = torch.rand(2, 3, 2, 8, 9, generator=numbers) * 0.3
    expected = wasserstein_distance(one.mean(1).flatten(), other.mean(1).flatten()) / float(other.mean())
    assert float(relative_distance(histogram(one), histogram(other))) == pytest.approx(expected, rel=0.01)


def test_temporal_distance_by_hand():
    """Uniform frames change in the coarse band only, whose first differences are 1/8 and second differences 1/4."""
    real = shades(0.0, 0.125, 0.0, 0.125)
    found = {
        "equal": (shades(0.0, 0.125, 0.0, 0.125), 0.0),
        "brighter": (shades(0.5, 0.625, 0.5, 0.625), 0.0),
        "frozen": (shades(0.5, 0.5, 0.5, 0.5), (1 + 1) / 6),
        "steady": (shades(0.0, 0.125, 0.25, 0.375), (0 + 1) / 6),
        "four times as much": (shades(0.0, 0.5, 0.0, 0.5), (3 + 3) / 6),
        "one jump": (shades(0.0, 0.125, 0.0, 0.5), (1 + (1 / 8) / (1 / 4) * 1.5) / 6),
    }
    # one jump: first differences 1/8, 1/8, 1/2: (3/8)/3 over 1/8; second ones 1/4 and 5/8: (3/8)/2 over 1/4
    for name, (video, expected) in found.items():
        values = measured("temporal_distance", video, real)
        assert values == {"temporal_distance": pytest.approx(expected, rel=0.01, abs=1e-6)}, name


def test_temporal_distance_matches_a_plain_loop():
    """Three real clips and two samples of random numbers, without cubic shapes; scipy measures the distances."""
    numbers = torch.Generator().manual_seed(0)
    real, generated = (
        torch.rand(count, 5, 2, 11, 14, generator=numbers) * size for count, size in ((3, 0.2), (2, 0.3))
    )
    setup = Setup(frames=5, clips=2)
    metric = METRICS["temporal_distance"].load()("temporal_distance", setup)
    metric.update(Videos(real, {"key": [EVEN, ODD, EVEN]}), real=True)
    metric.update(Videos(generated, {"key": ["a/0", "b/0"]}), real=False)
    samples, clips, even, odd = (changes(v) for v in (generated, real, real[[0, 2]], real[1:2]))
    expected = {"temporal_distance": (samples, clips), "real/temporal_distance": (even, odd)}
    for name, (one, other) in expected.items():
        distances = [wasserstein_distance(a, b) / np.mean(b) for a, b in zip(one, other, strict=True)]
        assert metric.compute()[name] == pytest.approx(np.mean(distances), rel=0.01), name


def changes(video: Tensor) -> list[list[float]]:
    """Magnitudes of first and second differences of three bands, pixel by pixel, in plain loops."""
    found: list[list[float]] = [[] for _ in range(6)]
    B, T, _, H, W = video.shape
    frames = video.numpy().astype(np.float64)

    def smooth(frame: np.ndarray, y: int, x: int, half: int) -> np.ndarray:
        box = frame[:, max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1]
        return box.mean((1, 2))

    for b in range(B):
        for y in range(H):
            for x in range(W):
                levels = [[smooth(frames[b, t], y, x, half) for t in range(T)] for half in (0, 1, 4)]
                for band in range(3):
                    coarser = levels[band + 1] if band < 2 else [np.zeros(2)] * T
                    values = [fine - coarse for fine, coarse in zip(levels[band], coarser, strict=True)]
                    for t in range(1, T):
                        found[band].append(float(np.abs(values[t] - values[t - 1]).mean()))
                    for t in range(2, T):
                        change = values[t] - 2 * values[t - 1] + values[t - 2]
                        found[3 + band].append(float(np.abs(change).mean()))
    return found


def test_first_step_starts_from_the_last_given_frame():
    """Two frames are given. The real step is 1/8; that of the sample, from the given frame 0.25 to 0.75, is 1/2: off by
    3 in one of three bands. Neither the sample's own given frames nor later steps count."""
    real = shades(-1.0, 0.25, 0.375, 0.0)
    sample = shades(0.9, -0.9, 0.75, -0.5)
    assert measured("first_step", sample, real, context=2) == {"first_step": pytest.approx(3 / 3, rel=0.01)}
    still = shades(0.9, -0.9, 0.25, -0.5)
    assert measured("first_step", still, real, context=2) == {"first_step": pytest.approx(1 / 3, rel=0.01)}
    assert measured("first_step", real, real, context=2) == {"first_step": 0}


def test_real_values_compare_two_halves_of_the_real_clips():
    """Steps of 1/8 in one half and of 1/2 in the other: 3/8 over 1/2, in one of three bands."""
    real = torch.cat([shades(0.0, 0.125), shades(0.0, 0.5)])
    values = measured("first_step", real, real, context=1, keys=(EVEN, ODD))
    assert values == {"first_step": 0, "real/first_step": pytest.approx(0.75 / 3, rel=0.01)}


def test_too_few_frames_are_explained():
    with pytest.raises(ZooError, match=r"temporal_distance compares 3 consecutive frames, but only 2 .* frames=4"):
        METRICS["temporal_distance"].load()("temporal_distance", Setup(frames=2, clips=2, context=1))


def test_first_step_needs_given_frames():
    tools, run = EvaluationTools(), Situation("run", paired=True, model="svg", context=1)
    assert default_metrics(tools, run)[-1] == "first_step"
    assert not metric_problems(tools, ["first_step"], run)
    from_nothing = replace(run, context=0)
    assert "first_step" not in default_metrics(tools, from_nothing)
    assert "temporal_distance" in default_metrics(tools, from_nothing)
    ending = {
        from_nothing: "samples of svg are made without context frames. Try: context=1",
        replace(from_nothing, subject="training"): "without context frames. Try: evaluation.context=1",
        replace(from_nothing, takes_frames=False): "without context frames. Leave it out.",
        Situation("folders", paired=False): "two folders of videos do not say which frames were given. Leave it out.",
    }
    for situation, expected in ending.items():
        [problem] = metric_problems(tools, ["first_step"], situation)
        assert problem.startswith("first_step measures the step from the last given frame, but ")
        assert problem.endswith(expected)
        assert "first_step" not in default_metrics(tools, situation)


# ---------------------------------------------------------------- known distortions

STUDY = load_script("experiments/distortions/run.py")
CLIPS, FRAMES = 16, 9
LEAST = 0.15
"""Distance of a distorted clip from the clip itself, relative to the changes of that clip. Undistorted it is 0."""
UNSEEN = {"temporal_distance": "cut after the given frame", "first_step": "cut in the middle"}


@pytest.mark.parametrize("view", STUDY.VIEWS)
def test_real_clips_rank_above_distorted_ones(view):
    clip = STUDY.real_clips(view, 0, CLIPS, FRAMES)
    for name, unseen in UNSEEN.items():
        metric = METRICS[name].load()(name, Setup(FRAMES - 1, CLIPS, context=1))
        metric.update(STUDY.videos_of(clip["video"], clip), real=True)
        distances = {}
        for distortion in ("none", *STUDY.REQUIRED, *STUDY.CUTS):
            metric.generated = torch.zeros_like(metric.generated)
            metric.update(STUDY.videos_of(STUDY.distort(clip["video"], distortion), clip), real=False)
            distances[distortion] = metric.compute()[name]
        assert distances.pop("none") == distances.pop(unseen) == 0
        assert min(distances.values()) > LEAST, (name, distances)
        assert distances["frozen"] == pytest.approx(1)
        assert distances["blur 3"] < distances["blur 5"] < distances["blur 7"]


def test_both_metrics_pass_the_study():
    """On its stored results: against other real clips as well, for which few clips are not enough."""
    results = STUDY.Results()
    assert [name for name in STUDY.COLUMNS if results.passes(name)] == ["temporal_distance", "first_step", "flicker"]
    assert "blur 3" not in results.right("warping_error_dis")
