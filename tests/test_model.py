"""What VideoModel gives to training and sampling: steps of named optimizers, noise streams, codes. Numbers by hand."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from zoo.blocks.interpolation import slerp
from zoo.card import ModelCard, ModelConfig
from zoo.model import VideoModel, name_samples
from zoo.types import ClipSpec, SampleRequest

CARD = ModelCard("toy", "", "", 2026, "", "", frozenset({"generate"}), (("video",),))
SPEC = ClipSpec(("video", "attributes"), 4, 2, 2, 25.0, attributes={"action": ("walk", "run", "jump")})


@dataclass
class ToyConfig(ModelConfig):
    name: str = "toy"
    least: int = 0
    most: int | None = None
    longest: int | None = None

    @property
    def context_frames(self):
        return (self.least, self.most)

    def most_frames(self, spec):
        return self.longest


class Toy(VideoModel[ToyConfig]):
    """Two numbers, each with an optimizer of its own."""

    card = CARD
    optimizer_names = ("a", "b")

    def __init__(self) -> None:
        super().__init__(ToyConfig(), SPEC)
        self.a, self.b = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(3.0))
        self.steps = []

    def training_step(self, clip, batch_idx): ...

    def after_step(self, name):
        self.steps.append((name, self.a.item(), self.b.item()))


@pytest.fixture
def toy(monkeypatch):
    model = Toy()
    optimizers = [torch.optim.SGD([parameter], lr=1.0) for parameter in (model.a, model.b)]
    monkeypatch.setattr(model, "optimizers", lambda: optimizers)
    monkeypatch.setattr(model, "manual_backward", lambda loss, **keywords: loss.backward(**keywords))
    return model


def at_step(model, number: int, clips: int, rank: int = 0, ranks: int = 1) -> None:
    """Put a model into the training step ``number``, from 1, with ``clips`` clips on each rank."""
    model._fabric = None
    model._trainer = SimpleNamespace(world_size=ranks, global_rank=rank)
    model.step_clips, model.clips_seen = clips * ranks, number * clips * ranks


def test_named_step_uses_the_weights_of_now(toy):
    """a = 2 - b = -1, then b = 3 - a = 4."""
    toy.step("a", {"product": toy.a * toy.b})
    assert toy.b.grad is None
    toy.step("b", {"half": toy.a * toy.b / 2, "other half": toy.a * toy.b / 2})
    assert (toy.a.item(), toy.b.item()) == (-1, 4)
    assert toy.steps == [("a", -1, 3), ("b", -1, 4)]


def test_simultaneous_steps_use_the_weights_before(toy):
    """a = 2 - b = -1 and b = 3 - a = 1."""
    product = toy.a.clone() * toy.b.clone()  # shared by both losses, like the samples of a GAN
    toy.optimizer_steps({"product": product}, {"product": product})
    assert toy.steps == [("a", -1, 1), ("b", -1, 1)]


def test_every_counts_steps_by_the_clock(toy):
    found = []
    for number in range(1, 8):
        at_step(toy, number, clips=4)
        found.append((toy.step_number, toy.every(3)))
    assert found == [(1, False), (2, False), (3, True), (4, False), (5, False), (6, True), (7, False)]


def draw(source):
    return torch.randint(1000, (), generator=source)


def test_noise_streams_are_independent_and_repeatable(toy):
    at_step(toy, 3, clips=4)
    clip = {"video": torch.zeros(4, 4, 3, 2, 2)}
    first, again, other, unnamed = (toy.per_sample_noise(clip, draw, stream) for stream in ("z", "z", "y", ""))
    assert torch.equal(first, again)
    assert len({tuple(each.tolist()) for each in (first, other, unnamed)}) == 3


@pytest.mark.parametrize("count", [None, 6])
def test_noise_does_not_depend_on_the_number_of_ranks(toy, count):
    clip = {"video": torch.zeros(4, 4, 3, 2, 2)}
    at_step(toy, 3, clips=4)
    whole = toy.per_sample_noise(clip, draw, "z", count)
    assert len(whole) == (count or 4)
    assert len(set(whole.tolist())) > 1
    half = {"video": clip["video"][:2]}
    parts = []
    for rank in range(2):
        at_step(toy, 3, clips=2, rank=rank, ranks=2)
        parts.append(toy.per_sample_noise(half, draw, "z", count and count // 2))
    assert torch.equal(torch.stack(parts, 1).flatten(), whole)  # clips alternate between ranks


def test_another_count_never_repeats_a_number_of_an_earlier_step(toy):
    indices = []
    for number in range(1, 4):
        at_step(toy, number, clips=4)
        indices += toy.sample_indices({"video": torch.zeros(4, 1)}, 6)
    assert indices == list(range(18))


def test_integers_stay_integers_and_floats_get_the_dtype_of_the_video(toy):
    at_step(toy, 1, clips=2)
    clip = {"video": torch.zeros(2, 4, 3, 2, 2, dtype=torch.bfloat16)}
    large = toy.per_sample_noise(clip, lambda source: torch.tensor(257))  # bfloat16 would round it to 256
    assert large.tolist() == [257, 257]
    assert toy.per_sample_noise(clip, lambda source: torch.rand(3, generator=source)).dtype == torch.bfloat16


def test_random_frames_are_frames_of_the_same_clips(toy):
    """Frame t of clip b has the value 10 b + t."""
    video = (10 * torch.arange(3.0)[:, None] + torch.arange(4.0)).view(3, 4, 1, 1, 1).expand(3, 4, 1, 2, 2)
    seen = set()
    for number in range(1, 30):
        at_step(toy, number, clips=3)
        images = toy.random_frames({"video": video}, count=7)
        assert images.shape == (7, 1, 2, 2)
        values = images[:, 0, 0, 0]
        assert (values // 10).tolist() == [0, 1, 2, 0, 1, 2, 0]
        seen |= set((values % 10).tolist())
    assert seen == {0, 1, 2, 3}


def test_random_attributes_are_uniform_ids(toy):
    counts = torch.zeros(3, dtype=torch.int64)
    for number in range(1, 101):
        at_step(toy, number, clips=3)
        ids = toy.random_attributes({"video": torch.zeros(3, 4, 3, 2, 2)}, count=6)["action"]
        assert ids.shape == (6,)
        counts += torch.bincount(ids, minlength=3)
    assert counts.sum() == 600
    assert (counts > 160).all()  # 200 expected, with a standard deviation of 12


@pytest.mark.parametrize(
    ("share", "expected"), [(0, (2, 0)), (1, (0, 2)), (0.5, (2**0.5, 2**0.5)), (1 / 3, (3**0.5, 1))]
)
def test_slerp_goes_along_the_circle(share, expected):
    one, other = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    torch.testing.assert_close(slerp(one, other, share), torch.tensor([expected]), check_dtype=False)


def test_slerp_between_parallel_vectors_is_linear():
    one = torch.tensor([[1.0, 0.0]])
    torch.testing.assert_close(slerp(one, 3 * one, 0.5), 2 * one)


def test_samples_are_named_by_the_given_clips_or_counted():
    request = SampleRequest(4, clips=3, first=5)
    assert name_samples(request)[0] == ["sample/5", "sample/6", "sample/7"]
    clip = {"key": ["a", "b"]}
    names, pieces = name_samples(SampleRequest(4, clip))
    assert (names, list(pieces)) == (["a", "b"], [clip])


@pytest.mark.parametrize(
    ("config", "frames", "context", "expected"),
    [
        (ToyConfig(), 8, 0, ""),
        (ToyConfig(), 8, 8, "x.frames=8 with x.context=8 leaves no frame to generate. Try: x.frames=16"),
        (ToyConfig(least=2), 8, 1, "toy with these settings needs at least 2 real frames. Try: x.context=2"),
        (ToyConfig(most=3), 8, 4, "toy with these settings takes at most 3 real frames. Try: x.context=3"),
        (ToyConfig(most=0), 8, 1, "toy with these settings is given no real frames. Leave it out"),
        (ToyConfig(longest=16), 17, 0, "x.frames=17, but toy with these settings generates at most 16 frames."),
        (ToyConfig(longest=16), 16, 0, ""),
    ],
)
def test_impossible_counts_are_explained(config, frames, context, expected):
    found = config.count_problems(SPEC, frames, context, "x.")
    assert (expected in found[0]) if expected else (found == [])


@pytest.mark.parametrize(
    ("least", "most", "expected"), [(0, None, 1), (1, None, 1), (2, None, 2), (0, 0, 0), (1, 4, 1), (0, 4, 1)]
)
def test_default_context_is_one_or_the_nearest_possible(least, most, expected):
    assert ToyConfig(least=least, most=most).clamp_context(1) == expected
