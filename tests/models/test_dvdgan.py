"""DVD-GAN: sizes, what the public port got wrong, norms, recurrence, losses with numbers by hand, continued frames."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from zoo.blocks.attention import FrameAttention, SeparableAttention
from zoo.blocks.attributes import UNKNOWN
from zoo.blocks.conditional_norm import ConditionalNorm
from zoo.blocks.conv_gru import ConvGRU
from zoo.blocks.spectral_norm import spectral_norm
from zoo.errors import ZooError
from zoo.models.dvdgan.blocks import ProjectionHead
from zoo.models.dvdgan.config import DVDGANConfig
from zoo.models.dvdgan.discriminators import SpatialDiscriminator, TemporalDiscriminator
from zoo.models.dvdgan.generator import Generator, GeneratorPlan
from zoo.models.dvdgan.losses import discriminator_hinge, generator_hinge, gram, orthogonal_penalty
from zoo.models.dvdgan.model import DVDGAN
from zoo.types import ClipSpec, SampleRequest

T, B, SIDE = 8, 3, 16
SPEC = ClipSpec(
    ("video", "attributes"), T, SIDE, SIDE, 10, attributes={"action": ("walk", "run")}, constant=("action",)
)


def tiny(spec=SPEC, **settings):
    torch.manual_seed(0)
    return DVDGAN(replace(DVDGANConfig.tiny(), **settings), spec)


def random_clip(labels=(0, 1, 1)):
    video = torch.rand(B, T, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return {
        "video": video,
        "key": ["a", "b", "c"],
        "attributes": {"action": torch.tensor(labels)[:, None].expand(-1, T)},
    }


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("width", "noise", "embedding", "sizes"),
    [
        (4, 32, 16, (354_819, 38_109, 40_341)),
        (8, 64, 32, (1_415_811, 151_001, 159_497)),
    ],
)
def test_sizes_of_the_second_version(width, noise, embedding, sizes):
    plan = GeneratorPlan(64, 64, 3, width, noise, 10, embedding, True, False, None, 0)
    networks = [
        Generator(plan),
        *(kind(64, 64, 3, width, 10) for kind in (SpatialDiscriminator, TemporalDiscriminator)),
    ]
    assert tuple(map(count, networks)) == sizes


def test_first_version_has_one_recurrent_layer_and_attention():
    plan = GeneratorPlan(
        32, 32, 1, 4, 8, 0, 0, every_resolution=False, attention=True, norm_frames=None, given_frames=0
    )
    generator = Generator(plan)
    assert len(generator.recurrent) == 1
    assert generator(torch.randn(2, 8), None, 5).shape == (2, 5, 1, 32, 32)
    assert len(Generator(plan.__class__(**vars(plan) | {"every_resolution": True})).recurrent) == 3


# ---------------------------------------------------------------- what the port got wrong


def test_every_frame_sees_the_noise_and_class_of_its_own_clip():
    generator = tiny().generator.eval()
    noise, classes = torch.randn(B, 8), torch.tensor([0, 1, 1])
    together = generator(noise, classes, T)
    for index in range(B):
        alone = generator(noise[index : index + 1], classes[index : index + 1], T)
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-5, rtol=1e-4)
    other = generator(noise, torch.tensor([1, 1, 1]), T)
    changed = (other - together).abs().amax((1, 2, 3, 4))
    assert changed[0] > 1e-4
    assert (changed[1:] < 1e-5).all()


def test_scores_are_those_of_each_clip():
    torch.manual_seed(0)
    video, classes = torch.randn(B, T, 3, SIDE, SIDE), torch.tensor([0, 1, 0])
    for kind, scores in ((SpatialDiscriminator, T), (TemporalDiscriminator, T // 4)):
        network = kind(SIDE, SIDE, 3, 4, 2).eval()
        found = network(video, classes)
        assert found.shape == (B, scores)
        alone = torch.cat([network(video[i : i + 1], classes[i : i + 1]) for i in range(B)])
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-4)


def test_discriminator_of_frames_sees_no_order_and_that_of_time_does():
    torch.manual_seed(0)
    video = torch.randn(2, T, 3, SIDE, SIDE)
    spatial, temporal = (kind(SIDE, SIDE, 3, 4, 0).eval() for kind in (SpatialDiscriminator, TemporalDiscriminator))
    torch.testing.assert_close(spatial(video.flip(1)).sum(1), spatial(video).sum(1), atol=1e-5, rtol=1e-4)
    assert (temporal(video.flip(1)).sum(1) - temporal(video).sum(1)).abs().min() > 1e-4


def test_norms_over_time_allow_any_number_of_frames():
    sample = tiny(norm="over_time").eval().sample(SampleRequest(frames=2 * T + 1, clips=2))
    assert sample.video.shape == (2, 2 * T + 1, 3, SIDE, SIDE)
    model = tiny(norm="per_frame").eval()
    assert model.config.most_frames(SPEC) == T
    short = model.sample(SampleRequest(frames=3, clips=2)).video
    torch.testing.assert_close(short, model.sample(SampleRequest(frames=T, clips=2)).video[:, :3])
    with pytest.raises(ZooError, match="over_time"):
        model.generator(torch.randn(1, 8), torch.tensor([0]), T + 1)


# ---------------------------------------------------------------- blocks


def test_conditional_norm_by_hand():
    norm = ConditionalNorm(1, 2, frames=2)
    with torch.no_grad():
        norm.gain.weight.copy_(torch.tensor([[1.0, 0.0]]))
        norm.bias.weight.copy_(torch.tensor([[0.0, 2.0]]))
    # Two clips of two frames of one pixel: the frames have the statistics (0, 1) and (10, 3) over both clips.
    x = torch.tensor([[-1.0, 7.0], [1.0, 13.0]]).view(2, 2, 1, 1, 1)
    found = norm(x, torch.tensor([[1.0, 0.0], [0.0, 3.0]])).flatten(1)
    torch.testing.assert_close(found, torch.tensor([[-2.0, -2.0], [7.0, 7.0]]), atol=1e-3, rtol=0)


def test_recurrence_against_a_plain_loop():
    torch.manual_seed(0)
    network = ConvGRU(2, 3)
    x, start = torch.randn(2, 4, 2, 5, 5), torch.randn(2, 3, 5, 5)
    state, expected = start, []
    for t in range(4):
        both = torch.cat([state, x[:, t]], 1)
        reset, update = network.reset(both).sigmoid(), network.update(both).sigmoid()
        candidate = network.candidate(torch.cat([x[:, t], reset * state], 1)).relu()
        state = update * state + (1 - update) * candidate
        expected.append(state)
    torch.testing.assert_close(network(x, start), torch.stack(expected, 1), atol=1e-5, rtol=1e-4)


def test_repeated_input_is_the_same_in_every_frame():
    torch.manual_seed(0)
    network, x = ConvGRU(2, 3), torch.randn(2, 2, 5, 5)
    torch.testing.assert_close(network(x, frames=4), network(x[:, None].expand(-1, 4, -1, -1, -1)))


def test_spectral_norm_reaches_the_largest_singular_value():
    torch.manual_seed(0)
    layer = spectral_norm(nn.Linear(3, 3, bias=False))
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.diag(torch.tensor([4.0, 2.0, 1.0])))
    for _ in range(30):
        weight = layer.weight
    torch.testing.assert_close(weight, torch.diag(torch.tensor([1.0, 0.5, 0.25])), atol=1e-4, rtol=0)
    before = layer.parametrizations.weight[0].u.clone()
    layer.eval()
    assert torch.equal(layer.weight, layer.weight)
    assert torch.equal(layer.parametrizations.weight[0].u, before)


def test_generator_starts_orthogonal():
    weights = [
        layer.parametrizations.weight.original
        for layer in tiny().generator.modules()
        if hasattr(layer, "parametrizations")
    ]
    assert len(weights) > 10
    for weight in weights:
        matrix = weight.flatten(1)
        products = gram(matrix if len(matrix) <= matrix.shape[1] else matrix.T)
        torch.testing.assert_close(products, torch.eye(len(products)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", [FrameAttention, SeparableAttention])
def test_attention_starts_as_the_identity(kind):
    torch.manual_seed(0)
    layer, x = kind(8), torch.randn(2, 3, 8, 4, 5)
    torch.testing.assert_close(layer(x), x)


def test_frame_attention_stays_in_its_frame_and_separable_attention_does_not():
    torch.manual_seed(0)
    frames, separable, x = FrameAttention(8), SeparableAttention(8), torch.randn(1, 3, 8, 4, 4)
    changed = x.clone()
    changed[:, 0] += 1
    with torch.no_grad():
        frames.gamma.fill_(1)
        for layer in separable.layers:
            layer.gamma.fill_(1)
        assert torch.equal(frames(x)[:, 1:], frames(changed)[:, 1:])
        assert (separable(x)[:, 1:] - separable(changed)[:, 1:]).abs().max() > 1e-4


def test_separable_attention_follows_one_axis_at_a_time():
    torch.manual_seed(0)
    layer, x = SeparableAttention(8), torch.randn(1, 3, 8, 4, 4)
    with torch.no_grad():
        layer.layers[0].gamma.fill_(1)  # height alone
        changed = x.clone()
        changed[:, 1, :, 2, 3] += 1
        difference = (layer(x) - layer(changed)).abs().amax(2)[0]
    assert (difference[1, :, 3] > 1e-6).all()  # the column of the changed pixel
    difference[1, :, 3] = 0
    assert difference.max() == 0


# ---------------------------------------------------------------- losses


def test_hinge_by_hand():
    real, generated = torch.tensor([[2.0, -0.5], [0.0, 0.5]]), torch.tensor([[-2.0, 1.0], [0.5, 0.0]])
    # Sums are 1.5 and 0.5, and -1 and 0.5: the losses are 0 and 0.5, and 0 and 1.5.
    torch.testing.assert_close(discriminator_hinge(real, generated, "sum"), torch.tensor(0.25 + 0.75))
    # One by one: 0, 1.5, 1, 0.5, and 0, 2, 1.5, 1.
    torch.testing.assert_close(discriminator_hinge(real, generated, "per_frame"), torch.tensor(0.75 + 1.125))
    torch.testing.assert_close(generator_hinge(generated, "sum"), torch.tensor(0.25))
    torch.testing.assert_close(generator_hinge(generated, "per_frame"), torch.tensor(0.125))


def test_orthogonal_penalty_by_hand():
    weight = torch.tensor([[1.0, 2.0], [3.0, 0.0]])  # inner product 3, twice
    torch.testing.assert_close(orthogonal_penalty([weight, torch.eye(2)]), torch.tensor(18.0))


def test_projection_by_hand():
    head = ProjectionHead(2, classes=2)
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[1.0, -1.0]]))
        head.linear.bias.fill_(0.5)
        head.embedding.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 10.0]]))
    features = torch.tensor([[1.0, -5.0], [2.0, 1.0]]).view(1, 2, 1, 2)  # ReLU and sum: 1 and 3
    scores = [head(features, torch.tensor([number])).item() for number in (0, 1, UNKNOWN)]
    assert scores == pytest.approx([-1.5 + 1, -1.5 + 30, -1.5])


def test_scored_frames_are_different_ones_and_none_that_was_given(monkeypatch):
    model = tiny(context=3, scored_frames=4)
    model.clips_seen = model.step_clips = B

    class Trainer:
        world_size = 1

    monkeypatch.setattr(type(model), "trainer", Trainer())
    video = torch.arange(T, dtype=torch.float32).view(1, T, 1, 1, 1).expand(B, T, 3, SIDE, SIDE)
    chosen = model.scored_frames({"video": video}, video, "test")[:, :, 0, 0, 0]
    for row in chosen.tolist():
        assert len(set(row)) == 4
        assert min(row) >= 3
    assert len({tuple(row) for row in chosen.tolist()}) > 1


# ---------------------------------------------------------------- sampling


def test_the_class_is_asked_for_by_name():
    model = tiny().eval()
    walk, run = (
        model.sample(SampleRequest(T, clips=2, options={"attributes": {"action": name}})).video
        for name in ("walk", "run")
    )
    assert (walk - run).abs().max() > 1e-4
    labelled = model.sample(SampleRequest(T, random_clip((0, 0, 0)))).video
    other = model.sample(SampleRequest(T, random_clip((0, 1, 0)))).video
    assert (labelled - other).abs().amax((1, 2, 3, 4))[1] > 1e-4
    torch.testing.assert_close(labelled[0], other[0])
    with pytest.raises(ZooError, match="fly"):
        model.sample(SampleRequest(T, clips=1, options={"attributes": {"action": "fly"}}))


def test_given_frames_are_copied_and_seen():
    model = tiny(category=None, context=2).eval()
    clip = random_clip()
    sample = model.sample(SampleRequest(T, clip, context=2))
    assert torch.equal(sample.video[:, :2], clip["video"][:, :2])
    clip["video"] = clip["video"].clone()
    clip["video"][0, 0] = 1.0
    other = model.sample(SampleRequest(T, clip, context=2))
    changed = (other.video - sample.video)[:, 2:].abs().amax((1, 2, 3, 4))
    assert changed[0] > 1e-5
    assert (changed[1:] == 0).all()
    with pytest.raises(ZooError, match="context=2"):
        model.sample(SampleRequest(T, clips=1))


def test_temperature_scales_the_noise_and_truncation_limits_it():
    model = tiny()
    code = model.draw_code(SampleRequest(T, clips=64))
    torch.testing.assert_close(model.draw_code(SampleRequest(T, clips=64, options={"temperature": 0.44})), 0.44 * code)
    assert model.draw_code(SampleRequest(T, clips=64, truncation=0.5)).abs().max() <= 0.5
    assert code.abs().max() > 1
    assert math.isclose(float(code.std()), 1, rel_tol=0.1)


@pytest.mark.parametrize(
    ("settings", "advice"),
    [({"category": "acton"}, "action"), ({"scored_frames": 9}, "scored_frames=8"), ({"context": 7}, "data.frames=9")],
)
def test_settings_that_do_not_fit_the_clips(settings, advice):
    problems = replace(DVDGANConfig.tiny(), **settings).problems(SPEC)
    assert len(problems) == 1
    assert advice in problems[0]


def test_scores_of_clips_for_the_collapse_monitor():
    model, video = tiny().eval(), random_clip()["video"]
    found = model.discriminator_scores(video)
    torch.testing.assert_close(found["frames"][1], model.spatial_discriminator(video[1:2, :]).mean())
    assert found["time"].shape == (B,)
    assert set(model.discriminator_scores(video[:, :2])) == {"frames"}
