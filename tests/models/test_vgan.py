"""VGAN: sizes, blending, losses with numbers by hand, steps of both networks, first frames."""

import math
from dataclasses import replace

import pytest
import torch

from zoo.errors import ZooError
from zoo.models.vgan.config import VGANConfig
from zoo.models.vgan.losses import GENERATED, REAL, cross_entropy, score
from zoo.models.vgan.model import VGAN
from zoo.models.vgan.networks import ClipPlan, Discriminator, GeneratedClip, Generator
from zoo.types import ClipSpec, SampleRequest

T, B, SIDE = 8, 3, 16
SPEC = ClipSpec(("video",), frames=T, height=SIDE, width=SIDE, fps=10, channels=3)


def tiny(spec=SPEC, **settings):
    torch.manual_seed(0)
    return VGAN(replace(VGANConfig.tiny(), **settings), spec)


def random_video(frames=T):
    return torch.rand(B, frames, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


# ---------------------------------------------------------------- networks


def test_published_sizes():
    plan = ClipPlan(frames=32, height=64, width=64, image_channels=3, channels=64)
    generator = Generator(plan, 100)
    assert count(generator) == 16_245_383
    assert count(generator.background) == 3_577_667
    assert count(generator.foreground) == 12_651_328
    assert count(generator.foreground_head) == 12_291
    assert count(generator.mask_head) == 4_097
    assert count(Discriminator(plan, normalise=True)) == 11_057_858


def test_published_sizes_with_a_first_frame():
    plan = ClipPlan(frames=32, height=64, width=64, image_channels=3, channels=128)
    generator = Generator(plan, 0)
    assert count(generator) == 68_216_455
    assert count(generator.encoder) == 11_021_696
    assert count(Discriminator(plan, normalise=True)) == 44_135_810


@pytest.mark.parametrize(
    ("frames", "start"),
    [(32, (2, 4, 4)), (16, (1, 4, 4)), (8, (1, 4, 4)), (12, (3, 4, 4)), (10, (5, 4, 4)), (7, (7, 4, 4))],
)
def test_any_number_of_frames(frames, start):
    plan = ClipPlan(frames, 64, 64, 3, 4)
    assert plan.start == start
    clip = Generator(plan, 5)(torch.randn(2, 5))
    assert clip.video.shape == (2, frames, 3, 64, 64)
    assert clip.mask.shape == (2, frames, 1, 64, 64)
    assert clip.background.shape == (2, 1, 3, 64, 64)
    assert Discriminator(plan, normalise=False)(clip.video).shape == (2, 2)


def test_frames_that_are_not_square():
    plan = ClipPlan(8, 16, 32, 1, 4)
    clip = Generator(plan, 5)(torch.randn(2, 5))
    assert clip.video.shape == (2, 8, 1, 16, 32)
    assert Discriminator(plan, normalise=True)(clip.video).shape == (2, 2)


def test_the_mask_shows_the_foreground_where_it_is_1():
    generator = tiny().generator
    with torch.no_grad():
        generator.mask_head.weight.zero_()
        generator.mask_head.bias.fill_(math.log(3))  # a mask of 3/4
        clip = generator(torch.randn(B, 8))
    torch.testing.assert_close(clip.mask, torch.full_like(clip.mask, 0.75))
    torch.testing.assert_close(clip.video, 0.75 * clip.foreground + 0.25 * clip.background)
    assert (clip.foreground[:, 0] - clip.foreground[:, -1]).abs().max() > 0


def test_one_stream_is_the_foreground():
    clip = tiny(two_streams=False).generator(torch.randn(B, 8))
    assert clip.video is clip.foreground
    assert clip.mask is None
    assert clip.background is None


def test_without_norms_scores_keep_their_scale():
    torch.manual_seed(0)
    logits = Discriminator(ClipPlan(16, 64, 64, 3, 16), normalise=False)(torch.randn(16, 16, 3, 64, 64))
    assert 0.3 < logits.square().mean().sqrt() < 3


# ---------------------------------------------------------------- losses


def test_cross_entropy_by_hand():
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])  # real with probability 3/4 and 1/2
    torch.testing.assert_close(cross_entropy(logits, REAL), torch.tensor((math.log(4 / 3) + math.log(2)) / 2))
    torch.testing.assert_close(cross_entropy(logits, GENERATED), torch.tensor((math.log(4) + math.log(2)) / 2))


def test_score_is_high_for_real_clips():
    torch.testing.assert_close(score(torch.tensor([[2.0, -1.0], [0.0, 4.0]])), torch.tensor([3.0, -4.0]))


def test_mask_penalty_is_the_weighted_mean_of_the_mask():
    model = tiny(mask_weight=0.1)
    mask = torch.tensor([0.0, 0.5, 1.0, 0.5]).view(1, 4, 1, 1, 1)
    penalties = model._penalties(GeneratedClip(mask, mask, mask, mask), mask)
    torch.testing.assert_close(penalties, {"mask": torch.tensor(0.05)})


def test_first_frame_penalty_looks_at_the_first_frame_alone():
    model = tiny(first_frame=True)
    video = torch.zeros(1, T, 3, SIDE, SIDE)
    video[:, 1:] = 0.7
    penalties = model._penalties(GeneratedClip(video, video, video, video), torch.full((1, 3, SIDE, SIDE), -0.3))
    torch.testing.assert_close(penalties, {"first_frame": torch.tensor(3.0)})


def test_penalty_counts_for_the_steps_between():
    real, noise = random_video(), torch.randn(B, 8, generator=torch.Generator().manual_seed(2))
    once = tiny(r1=2.0, r1_every=1).losses_of(real, noise, penalised=True)[1]
    rarely = tiny(r1=2.0, r1_every=4).losses_of(real, noise, penalised=True)[1]
    torch.testing.assert_close(rarely["r1"], 4 * once["r1"])
    without = tiny(r1=2.0).losses_of(real, noise, penalised=False)[1]
    assert set(once) - set(without) == {"r1"}
    model = tiny()
    video = real.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score(model.discriminator(video)).sum(), video)
    torch.testing.assert_close(once["r1"], gradient.square().sum() / B)  # γ / 2 = 1


def test_losses_of_one_network_leave_the_other_alone():
    model = tiny()
    generator, discriminator = model.losses_of(random_video(), torch.randn(B, 8), penalised=False)
    weights = list(model.discriminator.parameters())
    before = torch.autograd.grad(sum(discriminator.values()), weights, retain_graph=True)
    sum(generator.values()).backward(inputs=list(model.generator.parameters()), retain_graph=True)
    assert all(weight.grad is None for weight in weights)
    after = torch.autograd.grad(sum(discriminator.values()), weights)
    torch.testing.assert_close(before, after)


# ---------------------------------------------------------------- sampling


def test_details_show_both_streams_and_the_mask():
    sample = tiny().eval().sample(SampleRequest(frames=5, clips=2))
    assert set(sample.details) == {"foreground", "background", "mask"}
    foreground, background, mask = (sample.details[name] for name in ("foreground", "background", "mask"))
    assert foreground.shape == background.shape == sample.video.shape == (2, 5, 3, SIDE, SIDE)
    torch.testing.assert_close(sample.video, mask * foreground + (1 - mask) * background)
    assert (background == background[:, :1]).all()


def test_a_given_first_frame_is_continued():
    model = tiny(first_frame=True).eval()
    clip = {"video": random_video(), "key": ["a", "b", "c"]}
    sample = model.sample(SampleRequest(T, clip, context=1))
    assert torch.equal(sample.video[:, 0], clip["video"][:, 0])
    torch.testing.assert_close(sample.video[:, 1:], sample.details["generated"][:, 1:])
    assert not torch.equal(sample.details["generated"][:, 0], clip["video"][:, 0])
    other = model.sample(SampleRequest(T, clip, context=1, seed=5, draw=3))
    assert model.deterministic
    assert torch.equal(sample.video, other.video)


def test_a_first_frame_must_be_given():
    model = tiny(first_frame=True).eval()
    assert model.config.context_frames == (1, 1)
    with pytest.raises(ZooError, match="context=1"):
        model.sample(SampleRequest(T))
    with pytest.raises(ZooError, match="no code"):
        model.draw_code(SampleRequest(T))


@pytest.mark.parametrize(
    "settings", [{"width": 0}, {"r1": -1.0}, {"mask_weight": -0.1}, {"r1_every": 0}, {"discriminator_norm": "group"}]
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ZooError, match="model"):
        VGANConfig(**settings)


def test_scores_of_clips_as_long_as_in_training():
    model = tiny().eval()
    video = random_video()
    assert torch.equal(model.discriminator_scores(video)["video"], score(model.discriminator(video)))
    assert model.discriminator_scores(video[:, :3]) == {}
