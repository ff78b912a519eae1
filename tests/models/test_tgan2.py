"""TGANv2: sizes, pyramids and pooling by hand, ConvLSTM against a plain loop, losses, classes, released generators."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zoo.convert import convert
from zoo.errors import ZooError
from zoo.models.tgan2.config import TGAN2Config, count_doublings
from zoo.models.tgan2.model import TGAN2
from zoo.models.tgan2.networks import (
    ClassNorm,
    ConvLSTM,
    Discriminator,
    ImagePlan,
    LevelDiscriminators,
    Recurrence,
    Renderer,
    Start,
    Subsampling,
    UpBlock,
    halve,
    initialise,
    pyramid,
    subsample,
)
from zoo.models.tgan2.released import released_names
from zoo.runs.load import load
from zoo.types import ClipSpec, SampleRequest

T, B, SIDE = 8, 4, 32
SPEC = ClipSpec(
    ("video", "attributes"), frames=T, height=SIDE, width=SIDE, fps=10, attributes={"action": ("a", "b", "c")}
)


def tiny(spec=SPEC, **settings):
    torch.manual_seed(0)
    return TGAN2(replace(TGAN2Config.tiny(), **({"levels": 3} | settings)), spec)


def count(*networks):
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


def levels_of(model, video, classes=None):
    config = model.config
    steps = [config.frame_step] * (config.levels - 1)
    phases = torch.zeros(len(video), config.levels - 1, dtype=torch.int64)
    return pyramid(video, phases, steps, [1] * len(steps)), [classes] * config.levels


# ---------------------------------------------------------------- networks


@pytest.mark.parametrize(
    ("side", "features", "expected"), [(192, 1024, 88_032_460), (256, 1024, 89_874_636), (64, 512, 26_547_916)]
)
def test_published_sizes(side, features, expected):
    plan = ImagePlan(side, side, 3)
    with torch.device("meta"):
        assert (
            count(Start(256, features, plan.start), Recurrence(features, 1), Renderer(features, 32, 4, plan, 0))
            == expected
        )
        assert count(LevelDiscriminators(4, 3, 64)) == 116_077_060
        assert count(Discriminator(3, 64), Discriminator(3, 64, images=True)) == 39_160_706


@pytest.mark.parametrize(
    ("height", "width", "start"), [(64, 64, (1, 1)), (192, 256, (3, 4)), (32, 48, (2, 3)), (12, 8, (3, 2))]
)
def test_frames_start_from_a_few_pixels(height, width, start):
    plan = ImagePlan(height, width, 3)
    assert plan.start == start
    assert plan.doublings == count_doublings(height, width)


def test_conv_lstm_equals_its_equations():
    torch.manual_seed(0)
    cell = ConvLSTM(3, 2)
    x, hidden, memory = torch.randn(2, 3, 4, 4), torch.randn(2, 2, 4, 4), torch.randn(2, 2, 4, 4)
    i, f, o, c = (cell.input(x) + cell.state(hidden)).split(2, 1)
    expected = f.sigmoid() * memory + i.sigmoid() * c.tanh()
    found = cell(x, (hidden, memory))
    torch.testing.assert_close(found, (o.sigmoid() * expected.tanh(), expected))
    zeros = (torch.zeros_like(hidden), torch.zeros_like(memory))
    torch.testing.assert_close(cell(x, None), cell(x, zeros))
    torch.testing.assert_close(cell(None, (hidden, memory)), cell(torch.zeros_like(x), (hidden, memory)))


def test_shortcut_may_enlarge_last():
    torch.manual_seed(0)
    block, x = UpBlock(3, 2, 0).eval(), torch.randn(2, 3, 4, 4)
    y = F.relu(block.norm1(x)).repeat_interleave(2, -1).repeat_interleave(2, -2)
    y = block.conv2(F.relu(block.norm2(block.conv1(y))))
    enlarged = x.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(block(x), y + block.shortcut(enlarged), atol=1e-5, rtol=1e-5)


def test_class_norm_has_a_scale_and_shift_per_class():
    norm = ClassNorm(2, 3)
    norm.gammas.weight.data[1], norm.betas.weight.data[1] = 2.0, 5.0
    x = torch.randn(4, 2, 3, 3)
    plain = nn.BatchNorm2d(2, 2e-5, affine=False)(x)
    found = norm.of_classes(x, torch.tensor([0, 1, 2, 1]))
    torch.testing.assert_close(found[[0, 2]], plain[[0, 2]])
    torch.testing.assert_close(found[[1, 3]], 2 * plain[[1, 3]] + 5)


def test_pooling_by_hand():
    x = torch.tensor([1.0, 3.0, 8.0]).view(1, 1, 3, 1, 1)
    assert halve(x, padded=False).flatten().tolist() == [2, 8]
    padded = halve(x, padded=True)  # time: 0 1 | 3 8 (| 0 is cut); sides: 0 x 0
    assert padded.shape == (1, 1, 2, 3, 3)
    assert padded[0, 0, :, 1, 1].tolist() == [0.5, 5.5]
    assert padded.sum() == 6
    single = torch.full((1, 1, 1, 2, 2), 7.0)
    assert halve(single, padded=False).flatten().tolist() == [7]
    assert halve(single, padded=True).flatten().tolist() == [0, 7, 0]


def test_projection_adds_to_the_score_of_known_classes():
    torch.manual_seed(0)
    network, video = Discriminator(1, 1, classes=2), torch.rand(3, 2, 1, 16, 16)
    network.embedding.weight.data[0] = 0
    network.embedding.weight.data[1] = network.linear.weight[0]
    network.linear.bias.data.zero_()
    plain = network(video)
    torch.testing.assert_close(network(video, torch.tensor([0, 1, -1])), plain * torch.tensor([1.0, 2.0, 1.0]))


def test_initial_weights():
    torch.manual_seed(0)
    network = Discriminator(3, 32)
    initialise(network)
    layer = network.blocks[1].conv2
    bound = (2 * 6 / (27 * (32 + 64))) ** 0.5
    assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert network.blocks[1].shortcut.weight.abs().max().item() == pytest.approx((6 / 96) ** 0.5, rel=0.01)


# ---------------------------------------------------------------- levels


def test_pyramid_by_hand():
    video = torch.arange(4.0).view(1, 4, 1, 1, 1).expand(2, 4, 1, 4, 4)
    coarse, middle, fine = pyramid(video, torch.tensor([[0, 1], [1, 0]]), [2, 2], [1, 1])
    assert [level.shape[-1] for level in (coarse, middle, fine)] == [1, 2, 4]
    assert coarse[0, :, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert middle[:, :, 0, 0, 0].tolist() == [[0, 2], [1, 3]]
    assert fine[:, :, 0, 0, 0].tolist() == [[2], [1]]
    _, means = pyramid(video, None, [2], [2])
    assert means[:, :, 0, 0, 0].tolist() == [[0.5, 2.5]]
    square = torch.tensor([[1.0, 2.0], [3.0, 6.0]]).view(1, 1, 1, 2, 2)
    assert pyramid(square, torch.zeros(1, 1, dtype=torch.int64), [1], [1])[0].item() == 3


def test_frames_and_clips_are_dropped():
    x = torch.arange(10.0).view(2, 5)
    assert subsample(x, Subsampling(2, 1, 1)).tolist() == [[1, 3], [6, 8]]
    assert subsample(x, Subsampling(2, 2, 0)).tolist() == [[0, 2]]
    assert subsample(x, Subsampling(2, 1, None)).tolist() == [[0.5, 2.5], [5.5, 7.5]]


def test_a_level_shows_the_frames_that_it_kept():
    model = tiny(category=None).eval()
    features = torch.randn(B, T, 8, 1, 1)
    dense = model.renderer(features, None, [Subsampling(1)] * 2)
    sparse = model.renderer(features, None, [Subsampling(2, 1, 1), Subsampling(2, 2, 0)])
    assert [tuple(level.shape) for level in sparse] == [(B, 8, 3, 8, 8), (B, 4, 3, 16, 16), (B // 2, 2, 3, 32, 32)]
    torch.testing.assert_close(sparse[1], dense[1][:, 1::2], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(sparse[2], dense[2][::2, 1::4], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model.renderer(features)[0], dense[2], atol=1e-5, rtol=1e-4)


# ---------------------------------------------------------------- losses


def test_means_run_over_the_scores_of_all_levels():
    model = tiny(category=None)
    real, generated = (levels_of(model, torch.rand(B, T, 3, SIDE, SIDE) * 2 - 1) for _ in range(2))
    of_generator, of_discriminator = model.losses_of(real, generated, penalised=False)
    scores = [torch.cat([net(x) for net, x in zip(model.discriminator.levels, each[0], strict=True)])
              for each in (real, generated)]  # fmt: skip
    torch.testing.assert_close(of_generator["generator"], F.softplus(-scores[1]).mean())
    expected = F.softplus(-scores[0]).mean() + F.softplus(scores[1]).mean()
    torch.testing.assert_close(of_discriminator, {"discriminator": expected})


def test_penalty_is_a_mean_or_a_sum_over_clips():
    video = torch.rand(B, T, 3, SIDE, SIDE) * 2 - 1
    penalties = {}
    for reduction, every in (("mean", 1), ("sum", 1), ("mean", 3)):
        model = tiny(category=None, r1=2.0, r1_reduction=reduction, r1_every=every)
        levels = levels_of(model, video)
        penalties[reduction, every] = model.losses_of(levels, levels, penalised=True)[1]["r1"]
    torch.testing.assert_close(penalties["sum", 1], B * penalties["mean", 1])
    torch.testing.assert_close(penalties["mean", 3], 3 * penalties["mean", 1])
    total = 0.0
    for net, level in zip(model.discriminator.levels, levels[0], strict=True):
        x = level.clone().requires_grad_()
        total += torch.autograd.grad(net(x).sum(), x)[0].square().sum().item()
    assert penalties["sum", 1].item() == pytest.approx(total, rel=1e-4)  # γ / 2 = 1


# ---------------------------------------------------------------- sampling


def test_any_length_and_categories_that_change():
    model = tiny().eval()
    for norm in (layer for layer in model.renderer.modules() if isinstance(layer, ClassNorm)):
        norm.betas.weight.data.normal_()
    request = SampleRequest(T + 3, clips=2, options={"attributes": {"action": "a@0,b@4"}})
    video = model.sample(request).video
    assert video.shape == (2, T + 3, 3, SIDE, SIDE)
    other = model.sample(replace(request, options={"attributes": {"action": "a"}})).video
    assert torch.equal(video[:, :4], other[:, :4])
    assert not torch.allclose(video[:, 4:], other[:, 4:])


def test_published_generator_of_classes():
    model = tiny(generator="images", levels=1)
    clip = {"video": torch.rand(B, T, 3, SIDE, SIDE) * 2 - 1, "attributes": {"action": torch.zeros(B, T).long()}}
    model.step_clips = model.clips_seen = B
    model.sample_indices = lambda clip, number=None: list(range(B))
    losses = model.losses_of(model.real_levels(clip), model.generated_levels(clip), penalised=True)
    sum(chain.from_iterable(each.values() for each in losses)).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    model.eval()
    assert model.config.most_frames(SPEC) == T
    request = SampleRequest(6, clips=2, options={"attributes": {"action": "a"}})
    video = model.sample(request).video
    assert video.shape == (2, 6, 3, SIDE, SIDE)
    assert torch.equal(torch.stack([each.video for each in model.stream(request)], 1), video)
    model.image_generator.head.norm.betas.weight.data.normal_()
    other = model.sample(replace(request, options={"attributes": {"action": "a@0,b@3"}})).video
    same = model.sample(request).video
    assert torch.equal(other[:, :3], same[:, :3])
    assert not torch.allclose(other[:, 3:], same[:, 3:])
    with pytest.raises(ZooError, match=r"model.levels=1"):
        TGAN2Config(generator="images")


def test_codes_are_interpolated_on_the_line():
    model = tiny().eval()
    code = model.draw_code(SampleRequest(T, clips=2))
    assert code.abs().max() <= 1
    torch.testing.assert_close(model.interpolate(code[:1], code[1:], 0.25), 0.75 * code[:1] + 0.25 * code[1:])


@pytest.mark.parametrize("settings", [{"levels": 0}, {"r1": -1.0}, {"r1_reduction": "max"}, {"frame_step": 0}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ZooError, match="model"):
        TGAN2Config(**settings)


def test_clips_that_do_not_fit_are_refused():
    assert TGAN2Config(levels=4).problems(SPEC) == []
    assert "halved 3 times" in TGAN2Config(levels=4).problems(replace(SPEC, height=24))[0]
    assert "data.frames=8" in TGAN2Config(levels=4).problems(replace(SPEC, frames=7))[0]
    assert "Did you mean `action`" in TGAN2Config(category="actoin").problems(SPEC)[0]


# ---------------------------------------------------------------- released generators


def write_generator(path, model, **changes):
    """Write the generator of a model as the release would."""
    arrays = dict(changes)
    for part in model.ema_parts().values():
        state = part.state_dict()
        arrays |= {key: state[ours].numpy() for key, ours in released_names(part).items()}
    arrays |= {f"{key.removesuffix('avg_mean')}N": np.array(3) for key in list(arrays) if key.endswith("avg_mean")}
    np.savez_compressed(path, **arrays)
    return path


def test_released_generator_is_converted(tmp_path):
    spec = ClipSpec(("video",), frames=16, height=64, width=64, fps=25, channels=1)
    original = tiny(spec, category=None, levels=4).eval()
    for name, buffer in original.renderer.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    convert("tgan2", write_generator(tmp_path / "generator_iter_9.npz", original), tmp_path / "run", {"fps": 12})
    model = load(str(tmp_path / "run"))
    assert (model.config.code, model.config.features, model.config.layers, model.config.width) == (8, 8, 2, 2)
    assert (model.spec.height, model.spec.channels, model.spec.fps) == (64, 1, 12.0)
    assert torch.equal(model.sample(SampleRequest(3)).video, original.sample(SampleRequest(3)).video)


def test_other_files_are_refused(tmp_path):
    file = tmp_path / "generator_iter_9.npz"
    with pytest.raises(ZooError, match="is not a file"):
        TGAN2.convert(file, {})
    np.savez(file, a=np.zeros(3))
    with pytest.raises(ZooError, match="contains no array fc/W"):
        TGAN2.convert(file, {})
    spec = ClipSpec(("video",), frames=16, height=64, width=64, fps=25, channels=1)
    write_generator(file, tiny(spec, category=None, levels=4), **{"extra/W": np.zeros(3)})
    with pytest.raises(ZooError, match="extra/W"):
        TGAN2.convert(file, {})
    with pytest.raises(ZooError, match="epoch= does not apply"):
        TGAN2.convert(file, {"epoch": 3})
