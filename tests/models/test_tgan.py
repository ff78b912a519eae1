"""TGAN: sizes, clipping and losses with numbers by hand, frames between frames, snapshots of the release."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.golden.tgan import in_released_form
from zoo.blocks.noise import sample_uniform_noise
from zoo.convert import convert
from zoo.errors import ZooError
from zoo.models.tgan.clipping import clip_network, clip_scales, clip_singular_values, clip_weights
from zoo.models.tgan.config import TGANConfig
from zoo.models.tgan.losses import discriminator_losses, generator_loss
from zoo.models.tgan.model import NETWORKS, TGAN
from zoo.models.tgan.networks import (
    ClipPlan,
    Discriminator,
    ImageGenerator,
    TemporalGenerator,
    codes_between,
    initialise,
    temporal_widths,
)
from zoo.runs.load import load
from zoo.types import ClipSpec, SampleRequest

T, B, SIDE = 8, 3, 16
SPEC = ClipSpec(("video",), frames=T, height=SIDE, width=SIDE, fps=10, channels=3)


def tiny(spec=SPEC, **settings):
    torch.manual_seed(0)
    return TGAN(replace(TGANConfig.tiny(), **({"gradient_penalty": 0.0} | settings)), spec)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


# ---------------------------------------------------------------- networks


@pytest.mark.parametrize(
    ("shift", "temporal", "discriminator"), [(False, 825_444, 11_032_449 - 64), (True, 826_468, 11_033_409 - 128)]
)
def test_published_sizes(shift, temporal, discriminator):
    """The release counts 64 scales, and 64 shifts, of a norm that it never uses."""
    with torch.device("meta"):
        plan = ClipPlan(16, 64, 64, 3, 4)
        assert count(TemporalGenerator(100, 100, temporal_widths(512, 16), 16, shift)) == temporal
        assert count(ImageGenerator(100, 100, 32, plan)) == 3_622_691
        assert count(Discriminator(plan, 64, normalise=True, shift=shift)) == discriminator


@pytest.mark.parametrize(("frames", "widths"), [(16, [8, 4, 2, 2]), (10, [8, 4, 2, 2]), (3, [8, 4]), (2, [8])])
def test_any_number_of_frames(frames, widths):
    assert temporal_widths(8, frames) == widths
    codes = TemporalGenerator(5, 4, widths, frames)(torch.rand(2, 5))
    assert codes.shape == (2, frames, 4)
    plan = ClipPlan(frames, 16, 24, 1, 2)
    video = ImageGenerator(5, 4, 2, plan)(torch.rand(2, 5), codes)
    assert video.shape == (2, frames, 1, 16, 24)
    assert Discriminator(plan, 2, normalise=True)(video).shape == (2,)


def test_a_frame_depends_on_its_codes_alone():
    model = tiny().eval()
    slow, fast = torch.rand(B, 8), torch.rand(B, T, 4)
    video = model.image_generator(slow, fast)
    torch.testing.assert_close(model.image_generator(slow[1:2], fast[1:2, 3:4])[0, 0], video[1, 3])


def test_without_a_shift_norms_keep_their_bias_at_zero():
    model = tiny(norm_shift=False, discriminator_norm="batch")
    fixed = {name for name, _ in model.named_buffers() if name.endswith("bias")}
    assert fixed == {"temporal_generator.norms.0.bias", "temporal_generator.norms.1.bias",
                     "temporal_generator.norms.2.bias", "discriminator.norms.1.bias"}  # fmt: skip
    shifted = tiny(norm_shift=True, discriminator_norm="batch")
    assert list(shifted.state_dict().keys() - model.state_dict().keys()) == []
    assert fixed < {name for name, _ in shifted.named_parameters()}


def test_a_batch_of_one_clip_keeps_its_code():
    generator = tiny().temporal_generator
    codes = [generator(slow) for slow in torch.rand(2, 1, 8)]
    assert not torch.allclose(*codes)
    assert (generator.norms[0].running_mean == 0).all()
    generator(torch.rand(2, 8))
    assert (generator.norms[0].running_mean != 0).all()


def test_initial_weights():
    torch.manual_seed(0)
    layer = nn.ConvTranspose1d(100, 512, 1)
    initialise(layer, "lecun")
    assert layer.weight.std().item() == pytest.approx(512**-0.5, rel=0.02)  # Chainer: by the output channels
    initialise(layer, "uniform")
    assert layer.weight.abs().max().item() == pytest.approx(0.01, rel=0.01)
    convolution = nn.Conv3d(4, 8, 4)
    initialise(convolution, "orthogonal")
    rows = convolution.weight.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(8), atol=1e-5, rtol=0)
    assert not convolution.bias.any()


# ---------------------------------------------------------------- clipping


@pytest.mark.parametrize("shape", [(3, 2, 2, 2), (40, 1, 2, 2, 2), (1, 4, 3, 3), (5, 3, 1, 1)])
def test_singular_values_are_clipped(shape):
    weight = 2 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, values, right = torch.linalg.svd(weight.flatten(1), full_matrices=False)
    assert values.max() > 1
    expected = (left * values.clamp(max=1)) @ right
    clip_singular_values(weight)
    torch.testing.assert_close(weight.flatten(1), expected, atol=1e-5, rtol=1e-5)


def test_small_singular_values_stay():
    weight = torch.diag(torch.tensor([3.0, 0.5])).view(2, 2, 1, 1)
    clip_singular_values(weight)
    torch.testing.assert_close(weight.flatten(1), torch.diag(torch.tensor([1.0, 0.5])))


def test_scales_follow_the_running_deviation():
    norm = nn.BatchNorm3d(4)
    norm.running_var.copy_(torch.tensor([4.0, 4.0, 0.25, 4.0]))
    norm.weight.data.copy_(torch.tensor([5.0, 1.0, -3.0, 0.0]))
    clip_scales(norm)
    torch.testing.assert_close(norm.weight.data, torch.tensor([2.0, 1.0, 0.005, 0.02]))


def test_a_network_is_clipped():
    network = Discriminator(ClipPlan(T, SIDE, SIDE, 3, 2), 4, normalise=True)
    for parameter in network.parameters():
        parameter.data.fill_(0.5)
    clip_network(network)
    for layer in (*network.convolutions, network.last):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-5)
        assert (layer.bias == 0.5).all()
    network.norms[1].running_var.fill_(0.01)
    clip_network(network)
    torch.testing.assert_close(network.norms[1].weight.data, torch.full((8,), 0.1))
    clip_weights(network, 0.01)
    assert max(parameter.abs().max().item() for parameter in network.parameters()) == pytest.approx(0.01)


@pytest.mark.parametrize(("clipping", "steps"), [("singular_values", 6), ("weights", 6), ("none", 6)])
def test_clipping_comes_every_few_steps_of_the_discriminator(clipping, steps):
    model = tiny(clipping=clipping, clip_every=3)
    model.step_clips = 2
    clipped = []
    for step in range(1, steps + 1):
        model.clips_seen = 2 * step
        with torch.no_grad():
            model.discriminator.last.weight.fill_(1.0)
        model.after_step("generator")
        assert model.discriminator.last.weight.max() == 1
        model.after_step("discriminator")
        if model.discriminator.last.weight.max() < 1:
            clipped.append(step)
    assert clipped == ([] if clipping == "none" else [3, 6])


# ---------------------------------------------------------------- losses


def test_losses_by_hand():
    real, generated = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 3.0])
    of_real, of_generated = discriminator_losses(real, generated, "wasserstein")
    assert (of_real, of_generated, generator_loss(generated, "wasserstein")) == (-1, 1, -1)
    of_real, of_generated = discriminator_losses(real, generated, "least_squares")
    assert (of_real, of_generated, generator_loss(generated, "least_squares")) == (1, 8, 5)
    of_real, of_generated = discriminator_losses(real, generated, "logistic")
    assert of_real.item() == pytest.approx((math.log(1 + math.exp(-2)) + math.log(2)) / 2)
    assert of_generated.item() == pytest.approx((math.log(1 + math.exp(-1)) + math.log(1 + math.exp(3))) / 2)
    expected = (math.log(1 + math.e) + math.log(1 + math.exp(-3))) / 2
    assert generator_loss(generated, "logistic").item() == pytest.approx(expected)


def test_penalty_counts_for_the_steps_between():
    real, slow = torch.rand(B, T, 3, SIDE, SIDE) * 2 - 1, torch.rand(B, 8)
    once, rarely = (
        tiny(noise=0.0, r1=2.0, r1_every=every).losses_of(real, slow, penalised=True)[1] for every in (1, 4)
    )
    torch.testing.assert_close(rarely["r1"], 4 * once["r1"])
    without = tiny(r1=2.0).losses_of(real, slow, penalised=False)[1]
    assert set(once) - set(without) == {"r1"}
    video = real.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(tiny(noise=0.0).discriminator(video).sum(), video)
    torch.testing.assert_close(once["r1"], gradient.square().sum() / B)  # γ / 2 = 1


def test_wgan_gp_penalises_between_real_and_generated_clips():
    model = tiny(noise=0.0, gradient_penalty=10.0).eval()
    real, slow, mix = torch.rand(B, T, 3, SIDE, SIDE) * 2 - 1, torch.rand(B, 8), torch.tensor([0.0, 0.25, 1.0])
    losses = model.losses_of(real, slow, penalised=False, mix=mix)[1]
    distances = []
    for share, one, other in zip(mix, real, model.generate(slow), strict=True):
        x = (share * one + (1 - share) * other)[None].detach().requires_grad_()
        (gradient,) = torch.autograd.grad(model.discriminator(x).sum(), x)
        distances.append((gradient.norm() - 1) ** 2)
    torch.testing.assert_close(losses["gradient_penalty"], 10 * torch.stack(distances).mean())


def test_noise_is_added_in_training_only():
    model, video = tiny(noise=0.5), torch.rand(B, T, 3, SIDE, SIDE)
    assert not torch.equal(model.discriminator(video), model.discriminator(video))
    model.eval()
    assert torch.equal(model.discriminator(video), model.discriminator(video))


# ---------------------------------------------------------------- sampling


def test_codes_between_lie_on_the_line():
    codes = torch.tensor([[[0.0], [4.0], [2.0]]])
    assert codes_between(codes, 0).flatten().tolist() == [0, 4, 2]
    assert codes_between(codes, 1).flatten().tolist() == [0, 2, 4, 3, 2]
    assert codes_between(codes, 3).flatten().tolist() == [0, 1, 2, 3, 4, 3.5, 3, 2.5, 2]


def test_frames_between_frames():
    model = tiny().eval()
    request = SampleRequest(5, clips=2)
    slow = replace(request, options={"frames_between": 2})
    plain, longer = model.sample(request).video, model.sample(slow).video
    assert longer.shape[1] == slow.length == 13
    torch.testing.assert_close(longer[:, ::3], plain)
    assert not torch.allclose(longer[:, 1], longer[:, 0])


def test_codes_are_uniform_and_stay_so():
    model = tiny().eval()
    code = model.draw_code(SampleRequest(T, clips=200))
    assert 0.9 < code.abs().max() <= 1
    assert code.square().mean().item() == pytest.approx(1 / 3, rel=0.1)
    middle = model.interpolate(code[:1], code[1:2], 0.25)
    torch.testing.assert_close(middle, 0.75 * code[:1] + 0.25 * code[1:2])
    noise = sample_uniform_noise(SampleRequest(T, truncation=0.3), ["sample/0"], (500,))
    assert 0.29 < noise.abs().max() <= 0.3


@pytest.mark.parametrize(
    "settings",
    [{"width": 0}, {"r1": -1.0}, {"clip_every": 0}, {"weight_limit": 0.0}, {"objective": "hinge"}, {"image_init": "he"},
     {"objective": "wasserstein", "clipping": "none", "r1": 0.0},
     {"gradient_penalty": 1.0, "discriminator_norm": "batch"}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ZooError, match="model"):
        TGANConfig(**settings)


# ---------------------------------------------------------------- snapshots


def write_snapshot(folder, model, number=7, **changes):
    """Write a model as the release would, compressed as Chainer does."""
    for file, network in zip(("gen", "vgen", "vdis"), NETWORKS, strict=True):
        module = getattr(model, network)
        arrays = {key: value.numpy() for key, value in in_released_form(network, module, module.state_dict()).items()}
        if not model.config.norm_shift and network != "image_generator":
            arrays = {key: value for key, value in arrays.items() if not key.endswith("/beta")}
        arrays |= {f"{key.partition('/')[0]}/N": np.array(3) for key in list(arrays) if key.endswith("avg_mean")}
        if network == "discriminator":
            arrays["bn0/gamma"] = np.ones(4, np.float32)  # never used
        np.savez_compressed(folder / f"{file}_iter_{number}.npz", **(arrays | changes.get(network, {})))
    return folder / f"vgen_iter_{number}.npz"


@pytest.mark.parametrize("shift", [False, True])
def test_released_snapshot_is_converted(tmp_path, shift):
    spec = ClipSpec(("video",), frames=16, height=64, width=64, fps=25, channels=1)
    original = tiny(spec, norm_shift=shift, discriminator_norm="batch").eval()
    for network in NETWORKS:
        for name, buffer in getattr(original, network).named_buffers():
            if "running" in name:
                buffer.uniform_(0.5, 1.5)
    convert("tgan", write_snapshot(tmp_path, original), tmp_path / "run", {"fps": 12})
    model = load(str(tmp_path / "run"))
    assert (model.spec.height, model.spec.channels, model.spec.fps, model.config.norm_shift) == (64, 1, 12.0, shift)
    request = SampleRequest(16)
    assert torch.equal(model.sample(request).video, original.sample(request).video)
    video = torch.rand(1, 16, 1, 64, 64)
    assert torch.equal(model.discriminator(video), original.discriminator(video))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ZooError, match="is not a file of a snapshot"):
        TGAN.convert(tmp_path / "vgen_iter_7.npz", {})
    spec = ClipSpec(("video",), frames=16, height=64, width=64, fps=25, channels=1)
    wrong = {"image_generator": {"dc9/W": np.zeros((2, 2), np.float32)}}
    file = write_snapshot(tmp_path, tiny(spec, discriminator_norm="batch"), **wrong)
    with pytest.raises(ZooError, match=r"image_generator: dc9/W"):
        TGAN.convert(file, {})
    with pytest.raises(ZooError, match="height= does not apply"):
        TGAN.convert(file, {"height": 64})
    with pytest.raises(ZooError, match="not a positive number"):
        TGAN.convert(file, {"fps": 0})
    (tmp_path / "gen_iter_7.npz").unlink()
    with pytest.raises(ZooError, match=r"gen_iter_7.npz is not beside it"):
        TGAN.convert(file, {})
