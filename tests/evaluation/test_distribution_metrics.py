"""Distances of distributions and Inception scores: values by hand, plain references, and error messages."""

import itertools
import math
import warnings
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.features.base import Features
from zoo.evaluation.metric import Setup, Videos
from zoo.evaluation.metrics import feature_table
from zoo.evaluation.metrics.frechet import FID, FVD, ClassifierFrechet, frechet_distance
from zoo.evaluation.metrics.inception import InceptionScore, VideoIS
from zoo.evaluation.metrics.kernel import KID, KVD, squared_mmd
from zoo.evaluation.metrics.key_hash_split import key_hash_split
from zoo.evaluation.metrics.mind import NetworkMind, directions, monge_distance, squared_wasserstein
from zoo.evaluation.metrics.precision_recall import NetworkPrecisionRecall, share_within
from zoo.randomness import number_of
from zoo.testing import tiny_clip, tiny_model


class Pixels(Features):
    """Features are pixels of videos (B, T, 3, 1, W), so a test can choose them."""

    name = "pixels"
    sha256 = "0" * 16

    def __init__(self, size: int, classifies: str = "frames") -> None:
        super().__init__()
        self.clip_size = self.frame_size = self.classes = size
        self.classifies = classifies

    def clips(self, video: Tensor) -> Tensor:
        return self.frames(video)[:, 0]

    def frames(self, video: Tensor) -> Tensor:
        return video[:, :, 0, 0, : self.clip_size]

    def probabilities(self, video: Tensor) -> Tensor:
        return self.clips(video) if self.classifies == "clips" else self.frames(video).flatten(0, 1)


def clips_with(features: Tensor, first: int = 0, videos: int | None = None) -> Videos:
    """Clips with these features, (B, D) or (B, T, D). videos: number of videos that they are cut from; None is one per
    clip."""
    features = features[:, None] if features.ndim == 2 else features
    video = features[:, :, None, None].expand(-1, -1, 3, 1, -1)
    keys = [f"set/video{i if videos is None else i % videos}/{i}" for i in range(first, first + len(video))]
    return Videos(video, {"video": video, "fps": torch.ones(len(video)), "key": keys})


def setup(size: int, clips: int = 1000, frames: int = 1, classifies: str = "frames") -> Setup:
    return Setup(frames, clips, features=Pixels(size, classifies))


def measure(metric, generated: Tensor, real: Tensor) -> dict[str, float]:
    metric.update(clips_with(real), real=True)
    metric.update(clips_with(generated), real=False)
    return metric.compute()


def gaussian(count: int, mean: Tensor, covariance: Tensor, seed: int = 0) -> Tensor:
    """Samples with exactly this mean and covariance (over N - 1)."""
    size = len(mean)
    drawn = torch.randn(count, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    white = torch.linalg.qr(drawn - drawn.mean(0)).Q * math.sqrt(count - 1)
    values, vectors = torch.linalg.eigh(covariance.double())
    return white @ (vectors * values.clamp(min=0).sqrt()).T + mean


# ---------------------------------------------------------------- Fréchet


def test_frechet_distance_of_diagonal_covariances_by_hand():
    """|(3, 4)|² + (1 + 9 - 2·√9) + (4 + 16 - 2·√64) = 25 + 4 + 4."""
    mean, other = torch.zeros(2, dtype=torch.float64), torch.tensor([3.0, 4.0], dtype=torch.float64)
    first, second = torch.diag(torch.tensor([1.0, 4.0])).double(), torch.diag(torch.tensor([9.0, 16.0])).double()
    assert frechet_distance(mean, first, other, second) == pytest.approx(33)
    assert frechet_distance(other, second, mean, first) == pytest.approx(33)


def test_fvd_of_samples_with_those_statistics():
    first = gaussian(50, torch.zeros(2), torch.diag(torch.tensor([1.0, 4.0])))
    second = gaussian(80, torch.tensor([3.0, 4.0]), torch.diag(torch.tensor([9.0, 16.0])), seed=1)
    assert measure(FVD("fvd", setup(2)), first, second)["fvd"] == pytest.approx(33)


def test_frechet_distance_of_covariances_that_do_not_commute():
    """Against the square root of a matrix by scipy."""
    from scipy.linalg import sqrtm

    drawn = torch.randn(2, 30, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, second = drawn[0].T @ drawn[0], drawn[1].T @ drawn[1]
    expected = (first + second).trace() - 2 * sqrtm((first @ second).numpy()).trace().real
    zero = torch.zeros(6, dtype=torch.float64)
    assert frechet_distance(zero, first, zero, second) == pytest.approx(float(expected))


def test_fid_equals_torchmetrics():
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Given(torch.nn.Module):
        num_features = 5

        def forward(self, features: Tensor) -> Tensor:
            return features

    generated, real = torch.randn(2, 40, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    theirs = FrechetInceptionDistance(feature=Given())
    theirs.update(generated.flatten(0, 1), real=False)
    theirs.update(real.flatten(0, 1), real=True)
    assert measure(FID("fid", setup(5, frames=3)), generated, real)["fid"] == pytest.approx(float(theirs.compute()))


def test_frechet_distance_where_a_covariance_is_singular():
    """By hand: 1 + 1 for variance along different axes, (2 - 1)² along the same one; tiny variances add nothing."""

    def axes(*variances: float) -> Tensor:
        return torch.diag(torch.tensor(variances, dtype=torch.float64))

    zero = torch.zeros(3, dtype=torch.float64)
    assert frechet_distance(zero, axes(1, 0, 0), zero, axes(0, 1, 0)) == pytest.approx(2)
    assert frechet_distance(zero, axes(1, 0, 0), zero, axes(4, 0, 0)) == pytest.approx(1)
    assert frechet_distance(zero, axes(0, 0, 0), zero, axes(0, 0, 0)) == 0
    assert frechet_distance(zero, axes(1, 1e-18, 0), zero, axes(1, 1e-18, 1e-14)) == pytest.approx(0, abs=1e-10)


def test_fvd_of_equal_nearly_singular_features_is_zero():
    """Forty features of rank three, far from zero, as of a network that hardly distinguishes the clips."""
    drawn = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    features = drawn @ torch.randn(3, 40, generator=torch.Generator().manual_seed(1)) + 50
    values = measure(FVD("fvd", setup(40)), features, features)
    assert values["fvd"] == pytest.approx(0, abs=1e-4)  # of 40 variances of about 3
    assert values["fvd"] >= 0


def test_frechet_distance_is_precise_for_features_far_from_zero():
    first = gaussian(50, torch.full((2,), 1000.0), torch.diag(torch.tensor([1e-2, 4e-2])))
    second = gaussian(50, torch.full((2,), 1000.0), torch.diag(torch.tensor([9e-2, 16e-2])), seed=1)
    assert measure(FVD("fvd", setup(2)), first, second)["fvd"] == pytest.approx(0.08, rel=1e-4)


def test_real_fvd_is_the_scaled_distance_of_two_halves():
    """300 samples and 200 real clips are compared: the distance of the halves times (1/300 + 1/200) / (1/n + 1/m)."""
    real = torch.randn(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    odd = key_hash_split(clips_with(real).clip["key"])
    halves = int(odd.sum()), 200 - int(odd.sum())
    assert min(halves) > 60
    values = measure(FVD("fvd", setup(2)), real[:150].repeat(2, 1) + 1, real)
    distance = measure(FVD("fvd", setup(2)), real[odd], real[~odd])["fvd"]
    expected = distance * (1 / 300 + 1 / 200) / (1 / halves[0] + 1 / halves[1])
    assert values["real/fvd"] == pytest.approx(expected)
    assert 0 < values["real/fvd"] < 0.2


@pytest.mark.filterwarnings("ignore:fvd of .* has a high floor")
@pytest.mark.parametrize(("count", "size"), [(110, 100), (150, 100), (400, 100), (400, 20)])
def test_real_fvd_is_the_floor_of_the_distance(count, size):
    """Two sets of one Gaussian: the distance is the floor alone, also for hardly more clips than features."""
    numbers = torch.Generator().manual_seed(0)
    spread = 1 / torch.arange(1.0, size + 1).sqrt()
    found = [
        measure(FVD("fvd", setup(size, count)), *(spread * torch.randn(2, count, size, generator=numbers)))
        for _ in range(4)
    ]
    floors, distances = (sum(each[name] for each in found) for name in ("real/fvd", "fvd"))
    assert floors == pytest.approx(distances, rel=0.15)


def test_real_fvd_needs_two_videos():
    real = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    metric = FVD("fvd", setup(2))
    metric.update(clips_with(real, videos=1), real=True)
    metric.update(clips_with(real), real=False)
    assert set(metric.compute()) == {"fvd"}
    assert len({number_of(key) for key in clips_with(real).clip["key"]}) == 200
    assert len(set(key_hash_split([f"set/video/{start}" for start in range(50)]).tolist())) == 1


def test_few_clips_for_a_frechet_distance_are_warned_of():
    with pytest.warns(
        UserWarning, match=r"fvd of 499 clips in 100 features has a high floor, .* Better: clips=500, or .*kvd"
    ):
        FVD("fvd", setup(100, clips=499))
    with pytest.warns(UserWarning, match=r"fid of 496 frames in 100 features .* Better: clips=32, or"):
        FID("fid", setup(100, clips=31, frames=16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FVD("fvd", setup(100, clips=500))


@pytest.mark.filterwarnings("ignore:.* has a high floor")
def test_fewer_clips_than_features_are_refused():
    assert FVD("fvd", setup(512, clips=513)).size == 512
    message = (
        r"fvd compares covariances of 512 features, for which more than 512 clips are needed; 512 are measured\. "
        r"Try: clips=513, or metrics=kvd, which works with any number of clips"
    )
    with pytest.raises(ZooError, match=message):
        FVD("fvd", setup(512, clips=512))
    FID("fid", setup(1280, clips=81, frames=16))
    with pytest.raises(
        ZooError, match=r"more than 1280 frames are needed; 1280 are measured\. Try: clips=81, or .*=kid"
    ):
        FID("fid", setup(1280, clips=80, frames=16))


def test_classifier_frechet_uses_the_features_of_the_classifier():
    classifier, clip = tiny_model("classifier").eval(), tiny_clip("classifier")
    size = classifier.encoder.features
    with pytest.raises(ZooError, match=rf"classifier_frechet .* {size} features.*Try: clips={size + 1}$"):
        ClassifierFrechet("classifier_frechet", Setup(8, size, classifier=classifier))
    metric = ClassifierFrechet("classifier_frechet", Setup(8, size + 1, classifier=classifier))
    with torch.no_grad():
        assert torch.equal(
            classifier.heads(classifier.features(clip["video"]))["action"].softmax(-1),
            classifier.classify(clip["video"])["action"],
        )
        other = clip["video"].flip(-1) * 0.5
        metric.update(Videos(clip["video"], clip), real=True)
        metric.update(Videos(other, clip), real=False)
        features = [classifier.features(video).double() for video in (other, clip["video"])]
    statistics = [(rows.mean(0), rows.T.cov()) for rows in features]
    assert metric.compute() == {"classifier_frechet": pytest.approx(frechet_distance(*statistics[0], *statistics[1]))}


# ---------------------------------------------------------------- kernel


def test_squared_mmd_matches_a_value_by_hand():
    """One feature: k(0, 1) + k(1, 2) - 2 (k(0, 1) + k(0, 2) + k(1, 1) + k(1, 2)) / 4 = 1 + 27 - 37 / 2."""
    first, second = torch.tensor([[0.0], [1.0]]).double(), torch.tensor([[1.0], [2.0]]).double()
    clips = torch.arange(2)
    assert squared_mmd(first, second, clips, clips + 2) == pytest.approx(9.5)
    # of pairs, k(0, 1) and k(1, 2) with the own clip do not count: 1 + 27 - 2 (k(0, 2) + k(1, 1)) / 2
    assert squared_mmd(first, second, clips, clips) == pytest.approx(28 - (1 + 8))
    assert math.isnan(squared_mmd(first, second, torch.zeros(2), clips))


def test_kvd_and_kid_equal_plain_loops():
    generated, real = torch.randn(2, 12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    real = real[:9] + 0.5

    def k(x: Tensor, y: Tensor) -> float:
        return (float(x @ y) / 3 + 1) ** 3

    def expected(generated: Tensor, real: Tensor) -> float:
        """generated, real: features of frames, (B, T, D); only frames of different clips are compared."""

        def mean(one: Tensor, other: Tensor) -> float:
            clips = [(a, b) for a, b in itertools.product(range(len(one)), range(len(other))) if a != b]
            values = [k(x, y) for a, b in clips for x in one[a] for y in other[b]]
            return sum(values) / len(values)

        return mean(generated, generated) + mean(real, real) - 2 * mean(generated, real)

    found = measure(KVD("kvd", setup(3)), generated, real)["kvd"]
    assert found == pytest.approx(expected(generated[:, None], real[:, None]))
    frames = [rows.view(3, -1, 3) for rows in (generated, real)]
    assert measure(KID("kid", setup(3, frames=4)), *frames)["kid"] == pytest.approx(expected(*frames))


def test_kvd_is_unbiased():
    drawn = torch.randn(200, 2, 30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = [measure(KVD("kvd", setup(4)), generated, real) for generated, real in drawn]
    for name in ("kvd", "real/kvd"):
        values = torch.tensor([each[name] for each in found])
        assert abs(values.mean()) < 3 * values.std() / math.sqrt(len(values))
        assert values.min() < 0


def mean_is_zero(values: list[float]) -> bool:
    found = torch.tensor(values)
    return bool(abs(found.mean()) < 3 * found.std() / math.sqrt(len(found)))


def test_kvd_of_perfect_pairs_is_zero():
    """Every sample equals its clip. With the pairs themselves it would be far below 0."""
    real = torch.randn(64, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert measure(KVD("kvd", setup(16)), real, real)["kvd"] == pytest.approx(0, abs=1e-9)
    clips = torch.arange(64)
    assert squared_mmd(real, real, clips, clips + 64) < -0.1
    frames = real.view(16, 4, 16)
    assert measure(KID("kid", setup(16, frames=4)), frames, frames)["kid"] == pytest.approx(0, abs=1e-9)


def test_kvd_of_pairs_is_unbiased():
    """Samples are half their clip and half noise, so clips and samples have one distribution, but are no copies."""
    drawn = torch.randn(200, 2, 30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    clips, found, with_pairs = torch.arange(30), [], []
    for real, noise in drawn:
        generated = (real + noise) / math.sqrt(2)
        found.append(measure(KVD("kvd", setup(4)), generated, real)["kvd"])
        with_pairs.append(squared_mmd(generated, real, clips, clips + 30))
    assert mean_is_zero(found)
    assert not mean_is_zero(with_pairs)


def test_kid_of_frames_that_are_alike_is_unbiased():
    """Frames of a clip share most of their features; the two sets are of other clips."""
    drawn = torch.randn(2, 200, 2, 8, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = []
    for clip, frame in zip(*drawn, strict=True):
        generated, real = 0.8 * clip[:, :, :1] + 0.6 * frame
        kid = KID("kid", setup(4, frames=4))
        kid.update(clips_with(real), real=True)
        kid.update(clips_with(generated, first=8), real=False)
        found.append(kid.compute()["kid"])
    assert mean_is_zero(found)


def test_kvd_keeps_clips_by_their_keys(monkeypatch):
    """Independent of order, batches and ranks, also with several draws of a clip."""
    monkeypatch.setattr(feature_table, "MAX_ROWS", 8)
    real = torch.randn(30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    generated = torch.stack([real + 0.3, real - 0.2])
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1)).tolist()

    def metric(clips: list[int], batch: int, draws=(0, 1)) -> KVD:
        kvd = KVD("kvd", setup(2))
        for start in range(0, len(clips), batch):
            some = clips[start : start + batch]
            for rows, is_real in [(real, True), *((generated[draw], False) for draw in draws)]:
                keys = [key for i in some for key in clips_with(rows[i : i + 1], first=i).clip["key"]]
                videos = clips_with(rows[some])
                kvd.update(Videos(videos.video, {**videos.clip, "key": keys}), is_real)
        return kvd

    at_once = metric(list(range(30)), 30)
    assert at_once.real.shape == (8, 5)
    expected = at_once.compute()
    assert metric(order, 7).compute() == pytest.approx(expected)
    assert metric(order, 1, draws=(1, 0)).compute() == pytest.approx(expected)
    first, second = metric(order[:11], 4), metric(order[11:], 4)
    first.merge_state(second)
    assert first.compute() == pytest.approx(expected)


def test_kvd_needs_two_clips():
    with pytest.raises(ZooError, match=r"needs at least 2, but clips=1. Try: clips=16"):
        KVD("kvd", setup(2, clips=1))


# ---------------------------------------------------------------- precision and recall


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_share_within_matches_values_by_hand():
    """The third nearest neighbours of 0, 1, 2, 3 and 10 are 3, 2, 2, 3 and 9 away: together they reach -3 … 19."""
    among = column(0, 1, 2, 3, 10)
    assert share_within(column(-3, 19, 4, 0), among) == 1
    assert share_within(column(-3.1, 19.1, -2.9, 18.9), among) == 0.5
    assert math.isnan(share_within(among, among[:3]))


def test_samples_of_one_kind_have_precision_and_no_recall():
    """Samples 4, 4.1, 4.2 and 4.3 lie among the real clips 0 … 9, but reach from 3.7 to 4.6: one real clip of ten."""
    generated, real = column(4, 4.1, 4.2, 4.3), column(*range(10))
    found = {}
    for name in ("precision", "recall"):
        metric = NetworkPrecisionRecall(name, setup(1).with_argument(name))
        found |= measure(metric, generated, real)
    assert found["precision_k3"] == 1
    assert found["recall_k3"] == pytest.approx(0.1)


def test_real_precision_is_that_of_the_halves():
    real = torch.randn(60, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    odd = key_hash_split(clips_with(real).clip["key"])
    found = measure(NetworkPrecisionRecall("precision", setup(2).with_argument("precision")), real, real)
    assert found == {"precision_k3": 1, "real/precision_k3": share_within(real[~odd], real[odd])}
    assert 0.5 < found["real/precision_k3"] < 1


def test_precision_needs_more_clips_than_neighbours():
    with pytest.raises(ZooError, match=r"recall compares clips .* needs at least 4, but clips=3. Try: clips=16"):
        NetworkPrecisionRecall("recall", setup(2, clips=3))


def test_classifier_metrics_use_the_features_of_the_classifier():
    classifier, clip = tiny_model("classifier").eval(), tiny_clip("classifier")
    video = torch.cat([clip["video"] * level for level in (1, 0.8, 0.6, 0.4)])
    keys = [f"set/video{number}/0" for number in range(len(video))]
    with torch.no_grad():
        real, generated = (classifier.features(each).double() for each in (video, video.flip(-1)))
        expected = {
            "classifier_mind": monge_distance(generated, real),
            "classifier_precision_k3": share_within(generated, real),
            "classifier_recall_k3": share_within(real, generated),
        }
        found = {}
        for name in ("mind", "precision", "recall"):
            card = METRICS[f"classifier_{name}"]
            metric = card.load()(card.name, Setup(8, len(video), argument=card.argument, classifier=classifier))
            metric.update(Videos(video, {"key": keys}), real=True)
            metric.update(Videos(video.flip(-1), {"key": keys}), real=False)
            found |= {key: value for key, value in metric.compute().items() if not key.startswith("real/")}
    assert found == pytest.approx(expected, rel=1e-4)


# ---------------------------------------------------------------- MIND


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0, 1), (2, 1), 1),  # sorted, each is moved by 1
        ((0, 0, 3), (0, 3), 1.5),  # the quantiles differ by 3 between 1/2 and 2/3
        ((1,), (0, 2, 5), (1 + 1 + 16) / 3),
    ],
)
def test_squared_wasserstein_matches_values_by_hand(one, other, expected):
    assert float(squared_wasserstein(column(*one), column(*other))) == pytest.approx(expected)
    assert monge_distance(column(*one), column(*other)) == pytest.approx(3 * expected)  # directions are 1 and -1


def test_squared_wasserstein_of_unequal_sizes_repeats_rows():
    one, other = (torch.rand(count, 5, dtype=torch.float64) for count in (6, 4))
    repeated = one.repeat(2, 1).sort(0).values - other.repeat(3, 1).sort(0).values
    torch.testing.assert_close(squared_wasserstein(one, other), repeated.square().mean(0))


def test_mind_of_a_shift_is_three_times_its_square():
    """The mean of (u · v)² over unit vectors u of D dimensions is |v|² / D. Fewer clips than features are enough."""
    real = torch.randn(20, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shift = torch.linspace(-1, 1, 40, dtype=torch.float64)
    found = measure(NetworkMind("mind", setup(40)), real + shift, real)["mind"]
    assert found == pytest.approx(3 * 40 * float((shift @ directions(40)).square().mean()))
    assert found == pytest.approx(3 * float(shift @ shift), rel=0.1)


@pytest.mark.parametrize("count", [40, 200])
def test_real_mind_is_the_floor_of_mind(count):
    """Two sets of one Gaussian: MIND is the floor alone, at the same number of clips."""
    drawn = torch.randn(6, 2, count, 10, generator=torch.Generator().manual_seed(0))
    found = [measure(NetworkMind("mind", setup(10)), generated, real) for generated, real in drawn]
    floors, distances = (sum(each[name] for each in found) for name in ("real/mind", "mind"))
    assert floors == pytest.approx(distances, rel=0.15)


# ---------------------------------------------------------------- Inception score


def test_inception_score_matches_a_value_by_hand():
    """(1, 0) and (½, ½): the mean (¾, ¼) has entropy 0.562335, the two have ln 2 / 2 on average: exp(0.215762)."""
    generated = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
    real = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    values = measure(InceptionScore("inception_score", setup(2, frames=2)), generated, real)
    assert values == {"inception_score": pytest.approx(1.240806), "real/inception_score": pytest.approx(2)}


def test_inception_score_is_between_one_and_the_number_of_classes():
    alike, certain = torch.full((20, 1, 5), 0.2), torch.eye(5).repeat(4, 1)[:, None]
    values = measure(VideoIS("video_is", setup(5, classifies="clips")), alike, certain)
    assert values == {"video_is": pytest.approx(1), "real/video_is": pytest.approx(5)}


def test_inception_scores_refuse_the_wrong_kind_of_network():
    with pytest.raises(ZooError, match=r"video_is needs class probabilities of clips.*Try: features=c3d"):
        VideoIS("video_is", setup(5))
    with pytest.raises(ZooError, match=r"inception_score needs class probabilities of frames.*Try: features=lite0"):
        InceptionScore("inception_score", setup(5, classifies="clips"))


# ---------------------------------------------------------------- all


@pytest.mark.parametrize("build", [FVD, FID, KVD, KID, NetworkMind, NetworkPrecisionRecall, InceptionScore, VideoIS])
def test_unsuitable_networks_are_refused_when_the_metric_is_built(build):
    few = setup(3, frames=4, classifies="clips" if build is VideoIS else "frames")
    assert few.features is not None
    few.features.least_frames = 10
    with pytest.raises(ZooError, match="takes clips of at least 10 frames, but 4 are measured"):
        build("any", few)
    with pytest.raises(ZooError, match=r"any needs .*, which the network pixels does not give"):
        build("any", replace(few, features=Pixels(0)))


@pytest.mark.parametrize("build", [FVD, FID, KVD, KID, NetworkMind, NetworkPrecisionRecall, InceptionScore])
def test_metrics_without_clips_return_no_values(build):
    metric = build("any", setup(3))
    metric.update(clips_with(torch.rand(1, 3)), real=True)
    assert {name for name in metric.compute() if not name.startswith("real/")} == set()
    metric.update(clips_with(torch.rand(1, 3)), real=False)
    assert all(math.isfinite(value) for value in metric.compute().values())
