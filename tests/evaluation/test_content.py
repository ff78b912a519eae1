"""Average content distance, worked out by hand, and the clips that it cannot fault."""

import math
from types import SimpleNamespace

import pytest
import torch

from zoo.errors import ZooError
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.metric import Setup, Videos
from zoo.evaluation.metrics.content import mean_pair_distance


def content(name: str, generated: torch.Tensor, real: torch.Tensor, **setup) -> dict[str, float]:
    metric = METRICS[name].load()(name, Setup(generated.shape[1], 1, **setup))
    for video, is_real in ((real, True), (generated, False)):
        metric.update(Videos(video, {}), real=is_real)
    return metric.compute()


def flat(*colours: tuple[float, float, float]) -> torch.Tensor:
    """One clip of flat frames, (1, T, 3, 4, 4), in levels of 0 to 255."""
    levels = torch.tensor(colours)[None, :, :, None, None].expand(-1, -1, -1, 4, 4)
    return levels / 127.5 - 1


def test_distance_is_the_mean_over_all_pairs():
    features = torch.tensor([[[0.0, 0], [3, 4], [3, 0]], [[1, 1], [1, 1], [1, 1]]])
    assert mean_pair_distance(features).tolist() == [(5 + 4 + 3) / 3, 0]


def test_colours_are_in_levels():
    """Three frames: distances 30 (red), 40 (blue) and their hypotenuse 50; half a frame of 60 has a mean of 30."""
    clip = flat((0, 0, 0), (0, 0, 40), (60, 0, 0))
    clip[0, 2, 0, :2] = -1
    still = flat((9, 9, 9), (9, 9, 9), (9, 9, 9))
    found = content("acd", torch.cat([clip, still]), still)
    assert found == {"acd": pytest.approx(40 / 2, rel=1e-5), "real/acd": 0}


def test_grey_counts_as_three_channels():
    clip = flat((0, 0, 0), (10, 10, 10))
    assert content("acd", clip[:, :, :1], clip)["acd"] == pytest.approx(10 * math.sqrt(3), rel=1e-5)


def test_frozen_and_black_clips_have_none():
    torch.manual_seed(0)
    frozen = torch.rand(1, 1, 3, 8, 8).expand(-1, 5, -1, -1, -1)
    assert content("acd", frozen, torch.full_like(frozen, -1)) == {"acd": 0, "real/acd": 0}
    assert not METRICS["acd"].better
    assert not METRICS["classifier_acd"].decides


def test_features_are_those_of_single_frames():
    def features(video: torch.Tensor) -> torch.Tensor:
        assert video.shape[1] == 1
        return video[:, 0, :, 0, 0]

    clip = flat((0, 0, 0), (0, 255, 0))
    found = content("classifier_acd", clip, clip, classifier=SimpleNamespace(features=features))
    assert found == {"classifier_acd": pytest.approx(2), "real/classifier_acd": pytest.approx(2)}


def test_a_single_frame_is_refused():
    with pytest.raises(ZooError, match=r"acd compares the frames of a clip, but only 1 is measured. Try: frames=3"):
        METRICS["acd"].load()("acd", Setup(1, 1, context=1))
