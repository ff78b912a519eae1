"""vid2vid against hand-worked numbers and against records of the original networks."""

import re
from pathlib import Path

import pytest
import torch
from lightning import Callback
from torch import nn

from zoo.blocks.patchgan import MultiScaleDiscriminator
from zoo.flow.warp import warp
from zoo.losses.warping import flow_loss, masked_l1, warp_loss
from zoo.models.vid2vid.config import Vid2VidConfig
from zoo.models.vid2vid.losses import compose_flow, longest_scale, temporal_groups, video_input
from zoo.models.vid2vid.model import Chunk, Vid2Vid
from zoo.models.vid2vid.networks import SequentialGenerator, blend
from zoo.testing import tiny_clip, tiny_model, train_on
from zoo.types import ClipSpec, SampleRequest

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> dict:
    return torch.load(GOLDEN / f"{name}.pt", weights_only=True)


def load_in_order(network: nn.Module, record: dict[str, torch.Tensor]) -> None:
    """The original registers its layers in the order in which ours are."""
    own = network.state_dict()
    assert [v.shape for v in own.values()] == [v.shape for v in record.values()]
    network.load_state_dict(dict(zip(own, record.values(), strict=True)))


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert (found - expected).norm() <= 1e-4 * expected.norm()


# ---------------------------------------------------------------- the generator


def test_blend_is_eq_4():
    mask = torch.tensor([0.0, 0.25, 1.0]).view(1, 1, 1, 3)
    painted, warped = torch.full((1, 3, 1, 3), 0.8), torch.full((1, 3, 1, 3), -0.4)
    # 0: all warped; 1/4: 0.75·(-0.4) + 0.25·0.8 = -0.1; 1: all painted
    assert torch.allclose(blend(mask, painted, warped)[0, 0, 0], torch.tensor([-0.4, -0.1, 0.8]))


@pytest.mark.parametrize(("width", "blocks", "parameters"), [(16, 4, 723_654), (16, 9, 1_464_774), (32, 4, 2_811_270)])
def test_generator_has_the_published_number_of_parameters(width, blocks, parameters):
    generator = SequentialGenerator(12, 2, width, 2, blocks, "batch")
    assert sum(p.numel() for p in generator.parameters()) == parameters


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_generator_equals_the_original(mode):
    record = golden("g1_batch")
    config = record["config"]
    generator = SequentialGenerator(
        config["label_nc"], 2, config["ngf"], config["n_downsampling"], config["n_blocks"], "batch"
    )
    load_in_order(generator, record["state_dict"][0])
    generator.train(mode == "train")
    inputs, past = record["inputs"][0], record["prevs"][0]
    with torch.no_grad():
        painted = generator(inputs, past)
    expected = record[mode][0]
    close(painted.frame, expected["img"])
    close(painted.intermediate, expected["raw"])
    close(painted.flow, expected["flow"])
    close(painted.mask, expected["weight"])


def test_without_a_frame_before_everything_is_painted():
    generator = SequentialGenerator(2, 2, 4, 1, 2, "instance")
    painted = generator(torch.rand(1, 6, 8, 8), torch.zeros(1, 6, 8, 8), warps=False)
    assert torch.equal(painted.frame, painted.intermediate)
    assert torch.equal(painted.mask, torch.ones(1, 1, 8, 8))


def test_untrained_generator_stands_still():
    generator = SequentialGenerator(2, 2, 16, 2, 4, "instance")
    assert generator(torch.rand(1, 6, 32, 32), torch.rand(1, 6, 32, 32)).flow.abs().mean() < 0.5


# ---------------------------------------------------------------- the discriminators


def test_discriminator_equals_the_original():
    record = golden("disc_batch_feat")
    config = record["config"]
    judge = MultiScaleDiscriminator(config["input_nc"], config["ndf"], config["n_layers"], config["num_D"], "batch")
    for scale, part in enumerate(judge.judges):  # the original counts its scales from the coarsest
        prefix = f"scale{config['num_D'] - 1 - scale}_"
        load_in_order(part, {k: v for k, v in record["state_dict"].items() if k.startswith(prefix)})
    judge.eval()
    with torch.no_grad():
        found = judge(record["x"])
    for maps, expected in zip(found, record["eval"], strict=True):
        for found_map, expected_map in zip(maps, expected, strict=True):
            close(found_map, expected_map)


def test_temporal_groups_are_those_of_the_original():
    for name, steps in golden("frame_selection")["frame_selection"].items():
        group, scales, new = (int(re.search(f"{word}(\\d+)", name)[1]) for word in ("tD", "ts", "load"))
        for step, expected in enumerate(steps):
            available = (step + 1) * new
            found = [temporal_groups(available, new, group, scale) or None for scale in range(scales)]
            assert found == expected, (name, step)


def test_longest_scale():
    # K = 3: scale 0 spans 3 frames, scale 1 spans 7, scale 2 spans 19
    assert [longest_scale(frames, 3) for frames in (2, 3, 6, 7, 18, 19)] == [0, 1, 1, 2, 2, 3]


def test_flows_compose():
    flow = torch.zeros(1, 3, 2, 4, 8)
    flow[:, 0, 0], flow[:, 1, 0], flow[:, 2, 1] = 1.0, 2.0, 1.0  # right by 1, right by 2, down by 1
    assert torch.allclose(compose_flow(flow, 0, 2), torch.tensor([3.0, 0.0]).view(1, 2, 1, 1))
    assert torch.allclose(compose_flow(flow, 0, 3), torch.tensor([3.0, 1.0]).view(1, 2, 1, 1))
    # What counts is the earlier flow where the later one points to: column x looks at column x + 2.
    flow[:, 0, 0] = torch.arange(8.0)
    assert torch.allclose(compose_flow(flow, 0, 2)[0, 0, 0, :6], torch.arange(8.0)[2:8] + 2)


def test_video_input_takes_frames_then_flows_in_units_of_20_pixels():
    frames = torch.arange(4.0).view(1, 4, 1, 1, 1).expand(1, 4, 3, 2, 2)
    flow = torch.full((1, 3, 2, 2, 2), 10.0)
    found = video_input(frames, flow, [[1, 2, 3], [0, 1, 2]])
    assert found.shape == (2, 13, 2, 2)
    assert found[0, :, 0, 0].tolist() == [1.0] * 3 + [2.0] * 3 + [3.0] * 3 + [0.5] * 4
    assert found[1, :9:3, 0, 0].tolist() == [0.0, 1.0, 2.0]


# ---------------------------------------------------------------- the objective


def spec(frames: int = 3, height: int = 32, width: int = 32) -> ClipSpec:
    return ClipSpec(("video", "labels", "flow"), frames, height, width, 12.5, label_names=tuple("abcde"))


@pytest.fixture
def judged() -> tuple[Vid2Vid, dict]:
    """A model with the original's discriminators, and the record of one of its steps."""
    record = golden("losses_plain")
    model = Vid2Vid(Vid2VidConfig(norm="batch", discriminator_width=2, width=4), spec(frames=7))
    for ours, name in (
        (model.image_discriminator, "netD"),
        (model.video_discriminators[0], "netD_T0"),
        (model.video_discriminators[1], "netD_T1"),
    ):
        for scale, part in enumerate(ours.judges):
            weights = record["state_dict"][name]
            load_in_order(part, {k: v for k, v in weights.items() if k.startswith(f"scale{1 - scale}_")})
    return model, record


def test_image_losses_equal_the_original(judged):
    model, record = judged
    given = record["inputs"]
    chunk = Chunk(
        1,
        2,
        [given["fake_B_prev"], given["fake_B"]],
        *(given[k] for k in ("real_A", "real_B", "fake_B", "raw", "flow")),
    )
    found, expected = {k: v.item() for k, v in model.image_losses(chunk).items()}, record["losses"]
    assert found["gan_image"] + found["gan_intermediate"] == pytest.approx(expected["G_GAN"], rel=1e-4)
    assert found["features_image"] + found["features_intermediate"] == pytest.approx(expected["G_GAN_Feat"], rel=1e-4)
    real_and_fake = expected["D_real"] + expected["D_fake"]
    clip = {"video": given["seq_real"], "flow": given["seq_flow"]}
    assert model.judge_losses(clip, chunk)["judge_image"].item() == pytest.approx(0.5 * real_and_fake, rel=1e-4)


def test_flow_losses_equal_the_original(judged):
    """The record brings its own confidence, so the parts are compared."""
    given, expected = judged[1]["inputs"], judged[1]["losses"]
    trust, previous, current = given["conf_ref"], given["real_B_prev"], given["real_B"]
    assert 10 * flow_loss(given["flow"], given["flow_ref"], trust).item() == pytest.approx(expected["F_Flow"], rel=1e-4)
    assert 10 * warp_loss(previous, current, given["flow"], trust).item() == pytest.approx(expected["F_Warp"], rel=1e-4)
    warped = warp(given["fake_B_prev"], given["flow_ref"])
    assert 10 * masked_l1(given["fake_B"], warped, trust).item() == pytest.approx(expected["G_Warp"], rel=1e-4)


def test_video_losses_equal_the_original(judged):
    model, record = judged
    given = record["inputs"]
    frames = list(given["seq_fake"].unbind(1))
    chunk = Chunk(2, 3, frames, *[given["real_A"]] * 5)
    clip = {"video": given["seq_real"], "flow": given["seq_flow"]}
    found, expected = model.video_losses(clip, chunk), record["losses_T"][0]
    assert found["gan_video0"].item() == pytest.approx(expected["G_T_GAN"], rel=1e-4)
    assert found["features_video0"].item() == pytest.approx(expected["G_T_GAN_Feat"], rel=1e-4)
    assert set(found) == {"gan_video0", "features_video0"}  # three frames are too few for the second scale


def test_flow_losses_by_hand():
    """Constant pictures: real frames 0.2 then 0.5, made frames 0.2 then 0.4; flow off by (1, -3); half is trusted."""
    model = tiny_model("vid2vid")
    ones = torch.ones(1, 3, 32, 32)
    visible = torch.zeros(1, 1, 1, 32, 32)
    visible[..., :16] = 1
    clip = {
        "video": torch.stack([0.5 * ones, 0.5 * ones], 1),
        "flow": torch.zeros(1, 1, 2, 32, 32),
        "visibility": visible,
    }
    flow = torch.tensor([1.0, -3.0]).view(1, 2, 1, 1).expand(1, 2, 32, 32)
    chunk = Chunk(1, 2, [0.2 * ones, 0.4 * ones], ones, 0.5 * ones, 0.4 * ones, ones, flow)
    losses = model.flow_losses(clip, chunk)
    assert float(losses["flow"]) == pytest.approx(10 * 0.5 * (1 + 3) / 2)
    assert float(losses["warp"]) == pytest.approx(0.0, abs=1e-6)  # a constant picture warps to itself
    assert float(losses["consistency"]) == pytest.approx(10 * 0.5 * 0.2, rel=1e-5)
    clip["video"] = torch.stack([0.2 * ones, 0.5 * ones], 1)  # brighter by 3·0.09 > 0.02: no pixel is trusted
    assert all(float(value) == 0 for value in model.flow_losses(clip, chunk).values())


def test_first_frame_of_a_clip_has_no_flow_losses():
    model, clip = tiny_model("vid2vid"), tiny_clip("vid2vid")
    given = model.encode(clip)
    chunk = model._generate_chunk(clip, given, [], 0, 1)
    assert model.flow_losses(clip, chunk) == {}
    chunk = model._generate_chunk(clip, given, [], 0, 3)
    assert set(model.flow_losses(clip, chunk)) == {"flow", "warp", "consistency"}


# ---------------------------------------------------------------- through time


@pytest.mark.parametrize(("backprop_frames", "reaches"), [(1, False), (2, True)])
def test_backpropagation_is_truncated(backprop_frames, reaches):
    """With 2, the second frame of a chunk depends on the first one's graph; with 1 it does not."""
    model, clip = tiny_model("vid2vid"), tiny_clip("vid2vid")
    model.config.backprop_frames = backprop_frames
    chunk = model._generate_chunk(clip, model.encode(clip), list(clip["video"][:, :2].unbind(1)), 2, 4)
    first, second = chunk.frames[2:]
    gradient = torch.autograd.grad(second.sum(), first, allow_unused=True)[0]
    assert (gradient is not None) == reaches


def test_rates_are_constant_for_half_the_budget_and_then_fall_to_zero(tmp_path):
    model, seen = tiny_model("vid2vid"), []

    class Watch(Callback):
        def on_train_batch_end(self, trainer, *_):
            seen.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])

    model.config.lr, model.config.discriminator_lr = 1.0e-3, 0.5e-3
    train_on(model, tiny_clip("vid2vid"), 4, tmp_path, Watch())
    # before the steps 0, 1, 2 and 3 of 4 are behind: min(1, 2·(1 - share)) = 1, 1, 1, 1/2
    assert [generator for generator, _ in seen] == pytest.approx([1e-3, 1e-3, 1e-3, 0.5e-3])
    assert [judge for _, judge in seen] == pytest.approx([0.5e-3, 0.5e-3, 0.5e-3, 0.25e-3])


def test_paint_sees_the_latest_maps_and_frames():
    model = tiny_model("vid2vid")
    seen = {}
    model.generator.forward = lambda given, past, warps: seen.update(given=given, past=past, warps=warps)
    maps = torch.arange(5.0).view(1, 5, 1, 1, 1)
    frames = [torch.full((1, 3, 1, 1), 10.0 + t) for t in range(5)]
    model.paint(maps, frames[:4], 4)
    assert seen["given"].flatten().tolist() == [2, 3, 4]
    assert seen["past"].flatten().tolist() == [12] * 3 + [13] * 3
    assert seen["warps"]
    model.paint(maps, frames[:1], 1)
    assert seen["given"].flatten().tolist() == [0, 0, 1]
    assert seen["past"].flatten().tolist() == [0] * 3 + [10] * 3
    model.paint(maps, [], 0)
    assert seen["past"].flatten().tolist() == [0] * 6
    assert not seen["warps"]


def test_streaming_in_pieces_equals_streaming_at_once():
    model, clip = tiny_model("vid2vid").eval(), tiny_clip("vid2vid")
    pieces = [
        {k: v[:, a:b] for k, v in clip.items() if k in ("video", "condition")} for a, b in ((0, 3), (3, 4), (4, 8))
    ]
    whole = model.sample(SampleRequest(8, clip, context=2)).video
    assert torch.equal(model.sample(SampleRequest(8, iter(pieces), context=2)).video, whole)


def test_training_and_streaming_paint_the_same():
    """The chunks of training and the stream of sampling are the same recurrence."""
    model, clip = tiny_model("vid2vid").eval(), tiny_clip("vid2vid")
    with torch.no_grad():
        chunk = model._generate_chunk(clip, model.encode(clip), list(clip["video"][:, :1].unbind(1)), 1, 8)
    assert torch.equal(torch.stack(chunk.frames, 1), model.sample(SampleRequest(8, clip, context=1)).video)


def test_labels_become_one_hot_maps():
    model = Vid2Vid(Vid2VidConfig.tiny(), spec())
    labels = torch.tensor([[[[0, 2], [4, 1]]]])
    maps = model.encode({"labels": labels})
    assert maps.shape == (1, 1, 5, 2, 2)
    assert maps[0, 0, :, 0, 1].tolist() == [0, 0, 1, 0, 0]
    assert maps[0, 0, :, 1, 0].tolist() == [0, 0, 0, 0, 1]
