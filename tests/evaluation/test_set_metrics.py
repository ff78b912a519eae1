"""Diversity of draws, and memorisation of training clips."""

import pytest
import torch
from torch import Tensor

from zoo import ZooError
from zoo.data.base import ClipSet, build_set
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.metric import Setup, Videos
from zoo.evaluation.metrics.diversity import MAX_DRAWS, Diversity
from zoo.evaluation.metrics.memorisation import MAX_TRAINING_CLIPS, Memorisation, thumbnails

# ---------------------------------------------------------------- diversity


def diversity(*batches: Tensor) -> Diversity:
    metric = Diversity("diversity", Setup(frames=2, clips=4, draws=batches[0].shape[1]))
    for generated in batches:
        for draw in range(generated.shape[1]):
            metric.update(generated[:, draw], generated[:, 0], draw)
    return metric


def draws_of(*draws: float) -> Tensor:
    """One clip whose draws are uniform frames of these values, (1, D, T, 3, H, W)."""
    return torch.tensor(draws).view(1, -1, 1, 1, 1, 1).expand(-1, -1, 2, 3, 4, 4)


def test_diversity_matches_values_by_hand():
    # Distances of the pairs: 0.5, 1, 0.5, mean 2/3. A second clip with equal draws halves the mean.
    assert diversity(draws_of(-0.5, 0.0, 0.5)).compute() == {"diversity": pytest.approx(2 / 3)}
    both = torch.cat([draws_of(-0.5, 0.0, 0.5), draws_of(0.3, 0.3, 0.3)])
    assert diversity(both).compute()["diversity"] == pytest.approx(1 / 3)
    half = draws_of(1.0, 1.0).clone()
    half[:, 1, 0] = -1  # the first of two frames
    assert diversity(half).compute()["diversity"] == 1


def test_diversity_compares_the_first_draws_only():
    assert f"first {MAX_DRAWS} draws" in METRICS["diversity"].title
    values = torch.linspace(-1, 1, MAX_DRAWS).tolist()
    first = diversity(draws_of(*values)).compute()
    # Mean distance of two of n evenly spaced values over a range of 2: 2 (n + 1) / (3 (n - 1))
    assert first["diversity"] == pytest.approx(2 * (MAX_DRAWS + 1) / (3 * (MAX_DRAWS - 1)))
    assert diversity(draws_of(*values, 0.9, -0.9, 0.9)).compute() == first


def test_equal_draws_have_no_diversity():
    assert diversity(torch.rand(3, 1, 2, 3, 8, 8).expand(-1, 5, -1, -1, -1, -1)).compute()["diversity"] == 0


def test_diversity_does_not_depend_on_batches_and_ranks():
    torch.manual_seed(0)
    generated = torch.rand(5, 3, 2, 3, 8, 8)
    at_once = pytest.approx(diversity(generated).compute()["diversity"], rel=1e-6)
    assert diversity(generated[[4, 1]], generated[[0]], generated[[3, 2]]).compute()["diversity"] == at_once
    one, other = diversity(generated[:1], generated[1:4]), diversity(generated[4:])
    one.merge_state(other)
    assert one.compute()["diversity"] == at_once


def test_diversity_refuses_one_draw():
    with pytest.raises(ZooError, match=r"draws=1. Try: draws=2"):
        diversity(draws_of(0.0))


# ---------------------------------------------------------------- memorisation


class UniformClips(ClipSet):
    """Clips of uniform frames of these values; records which ones are read."""

    def __init__(self, *levels: float) -> None:
        self.levels, self.read = levels, []

    def __len__(self) -> int:
        return len(self.levels)

    def clip(self, index, epoch, frames):
        self.read.append((index, epoch, frames))
        return {"video": torch.full((frames, 3, 32, 32), self.levels[index]), "key": str(index)}


def uniform(*levels: float) -> Videos:
    video = torch.tensor(levels).view(-1, 1, 1, 1, 1).expand(-1, 8, 3, 32, 32)
    return Videos(video, {"video": video})


def memorisation(training: ClipSet) -> Memorisation:
    return Memorisation("memorisation", Setup(frames=8, clips=4, training=training))


def test_memorisation_matches_values_by_hand():
    training = UniformClips(-0.5, 0.5)
    metric = memorisation(training)
    metric.update(uniform(0.1, 0.7, 0.8, 0.5), real=True)  # distances 0.4, 0.2, 0.3 and 0, mean 0.225
    metric.update(uniform(0.5, -0.6, 0.3, 0.0), real=False)  # distances 0, 0.1, 0.2, 0.5; two are below 0.1125
    assert metric.compute() == {
        "memorisation": pytest.approx(0.8 / 4),
        "memorisation_share": 2 / 4,
        "real/memorisation": pytest.approx(0.9 / 4),
        "real/memorisation_share": 1 / 4,
    }
    assert training.read == [(0, 0, 8), (1, 0, 8)]  # each clip once


def test_context_frames_are_not_compared():
    """Context frames of the training clips are black; the measured frames equal those after them."""

    class WithBlackContext(UniformClips):
        def clip(self, index, epoch, frames):
            clip = super().clip(index, epoch, frames)
            clip["video"][:3] = -1
            return clip

    training = WithBlackContext(0.25)
    metric = Memorisation("memorisation", Setup(frames=8, clips=1, context=3, training=training))
    for real in (True, False):
        metric.update(uniform(0.25), real)
    assert metric.compute()["memorisation"] == 0
    assert training.read == [(0, 0, 11)]


def test_memorisation_uses_the_root_mean_square_distance():
    metric = memorisation(UniformClips(0.0))
    video = torch.zeros(1, 8, 3, 32, 32)
    video[:, :, :, :16] = 0.5  # half of the pixels
    for real in (True, False):
        metric.update(Videos(video, {"video": video}), real)
    assert metric.compute()["memorisation"] == pytest.approx(0.5 * 0.5**0.5)


def test_thumbnail_averages_areas_of_four_frames():
    video = torch.arange(7.0).view(1, 7, 1, 1, 1).expand(-1, -1, 3, 32, 32).clone()
    video[..., ::2] += 1
    video[..., 1::2] -= 1  # stripes that averaging over two pixels removes
    assert torch.equal(
        thumbnails(video).view(4, -1), torch.tensor([[0.0], [2.0], [4.0], [6.0]]).double().expand(-1, 3 * 16 * 16)
    )
    assert thumbnails(video[:, :2]).shape == (1, 2 * 3 * 16 * 16)


def test_training_clips_are_recognised():
    config = PuppetsConfig(frames=5, height=32, width=32, view="person", clips=12)
    training, held_out = (build_set(config, split, frozenset(), seed=0) for split in ("train", "val"))
    metric = Memorisation("memorisation", Setup(frames=5, clips=3, training=training))

    def shown(clips: ClipSet, *numbers: int) -> Videos:
        video = torch.stack([clips.clip(number, 0, 5)["video"] for number in numbers])
        return Videos(video, {"video": video})

    metric.update(shown(training, 11, 3, 7), real=False)
    metric.update(shown(held_out, 0, 1, 2), real=True)
    found = metric.compute()
    assert found["memorisation"] == 0
    assert found["memorisation_share"] == 1
    assert found["real/memorisation"] > 0.01
    metric.reset()
    metric.update(shown(held_out, 0, 1, 2), real=False)
    metric.update(shown(held_out, 0, 1, 2), real=True)
    assert metric.compute()["memorisation"] == metric.compute()["real/memorisation"] == found["real/memorisation"]


def test_memorisation_does_not_depend_on_batches_and_ranks():
    torch.manual_seed(0)
    video = torch.rand(6, 8, 3, 32, 32)

    def shown(*batches: list[int]) -> Memorisation:
        metric = memorisation(UniformClips(0.4, 0.6))
        for rows in batches:
            metric.update(Videos(video[rows], {"video": video[rows]}), real=False)
            metric.update(Videos(video[rows] * 0.5, {"video": video[rows]}), real=True)
        return metric

    at_once = pytest.approx(shown([0, 1, 2, 3, 4, 5]).compute(), rel=1e-6)
    assert shown([5, 0], [3], [4, 2, 1]).compute() == at_once
    one, other = shown([0, 1], [4]), shown([5, 2, 3])
    one.merge_state(other)
    assert one.compute() == at_once


def test_only_the_first_training_clips_are_compared():
    training = UniformClips(*[0.0] * MAX_TRAINING_CLIPS, 1.0)
    metric = memorisation(training)
    for real in (True, False):
        metric.update(uniform(1.0), real)
    assert metric.compute()["memorisation"] == 1
    assert len(training.read) == MAX_TRAINING_CLIPS
