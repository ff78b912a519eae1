"""vid2vid against hand-worked numbers. tests/models/test_golden.py compares it with the original networks."""

from dataclasses import replace

import pytest
import torch
from lightning import Callback
from torch import nn

from zoo.blocks.convolution import find_norm
from zoo.blocks.maps import pyramid
from zoo.models.vid2vid.config import Vid2VidConfig
from zoo.models.vid2vid.losses import (
    MotionBatch,
    compose_flow,
    count_temporal_scales,
    foreground_shared,
    motion_losses,
    sparse_groups,
    temporal_groups,
    video_input,
)
from zoo.models.vid2vid.model import Chunk, Vid2Vid
from zoo.models.vid2vid.networks import SequentialGenerator, blend, plan_scales
from zoo.models.vid2vid.recurrence import Rollout
from zoo.testing import tiny_clip, tiny_data, tiny_model, train_on
from zoo.types import SampleRequest

# ---------------------------------------------------------------- generator


def test_blend_is_eq_4():
    mask = torch.tensor([0.0, 0.25, 1.0]).view(1, 1, 1, 3)
    generated, warped = torch.full((1, 3, 1, 3), 0.8), torch.full((1, 3, 1, 3), -0.4)
    # 0: warped; 1/4: 0.75·(-0.4) + 0.25·0.8 = -0.1; 1: generated
    assert torch.allclose(blend(mask, generated, warped)[0, 0, 0], torch.tensor([-0.4, -0.1, 0.8]))


def generator(channels=2, scales=1, width=8, blocks=2, norm="instance", downsamplings=1, foreground=(), flow=True):
    plans = plan_scales(scales, width, downsamplings, blocks, 3)
    return SequentialGenerator(channels, 2, plans, find_norm(norm), flow, foreground)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("width", "blocks", "scales", "foreground", "count"),
    [
        (16, 4, 1, (), 723_654),
        (16, 9, 1, (), 1_464_774),
        (32, 4, 1, (), 2_811_270),
        (32, 4, 2, (), 2_979_468),
        (32, 4, 3, (3,), 4_588_131),
    ],
)
def test_generator_has_the_published_number_of_parameters(width, blocks, scales, foreground, count):
    found = generator(12, scales, width, blocks, "batch", 2, foreground)
    assert parameters(found) == count


def test_city_at_2048_has_the_published_number_of_parameters():
    with torch.device("meta"):
        city = generator(36, 3, 128, 9, "batch", 3, (26,))
    assert [parameters(scale) for scale in city.scales] == [411_335_241, 2_880_489, 859_641]


def test_without_a_previous_frame_nothing_is_warped():
    (generated,) = generator()([torch.rand(1, 6, 8, 8)], [torch.zeros(1, 6, 8, 8)], warps=False)
    assert torch.equal(generated.frame, generated.intermediate)


def test_untrained_generator_predicts_almost_no_flow():
    found = generator(width=16, downsamplings=2, blocks=4)([torch.rand(1, 6, 32, 32)], [torch.rand(1, 6, 32, 32)])
    assert found[0].flow.abs().mean() < 0.5


def test_generator_without_flow_does_not_warp():
    network = generator(flow=False)
    (generated,) = network([torch.rand(1, 6, 8, 8)], [torch.rand(1, 6, 8, 8)])
    assert generated.flow is None
    assert torch.equal(generated.frame, generated.intermediate)


def test_foreground_is_pasted_into_both_images():
    """In the foreground, frame and intermediate image are the output of the foreground branch, which sees maps only."""
    network = generator(foreground=(1,))
    maps = torch.zeros(1, 6, 8, 8)
    maps[:, 4] = 1.0  # this frame: class 0 everywhere …
    maps[:, 4, :, 4:], maps[:, 5, :, 4:] = 0.0, 1.0  # … except for class 1 on the right
    one, other = (network([maps], [torch.rand(1, 6, 8, 8)])[0] for _ in range(2))
    assert torch.equal(one.frame[..., 4:], other.frame[..., 4:])
    assert torch.equal(one.frame[..., 4:], one.intermediate[..., 4:])
    assert not torch.equal(one.frame[..., :4], other.frame[..., :4])


def test_foreground_mask_is_soft_at_coarser_scales():
    network = generator(2, foreground=(1,))
    maps = torch.zeros(1, 6, 8, 8)
    maps[:, 5, :, 4:] = 1.0
    assert network.foreground_mask(maps)[0, 0, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    # 3 x 3 means with stride 2 over pixels inside the image: columns (0,1), (1,2,3), (3,4,5), (5,6,7)
    assert network.foreground_mask(pyramid(maps, 2)[0])[0, 0, 0].tolist() == pytest.approx([0, 0, 2 / 3, 1])


def test_freeze_coarse_stops_gradients_to_the_coarse_scale():
    network = generator(2, scales=2)
    given, past = pyramid(torch.rand(1, 6, 16, 16), 2), pyramid(torch.rand(1, 6, 16, 16), 2)
    for freeze_coarse in (True, False):
        network.zero_grad()
        network(given, past, freeze_coarse=freeze_coarse)[-1].frame.sum().backward()
        has_gradient = network.scales[0].given_encoder[1].weight.grad is not None
        assert has_gradient is not freeze_coarse


def test_flow_unit_of_each_scale_is_20_pixels_of_the_coarsest():
    assert [plan.flow_unit for plan in plan_scales(3, 16, 2, 4, 3)] == [20.0, 40.0, 80.0]


# ---------------------------------------------------------------- discriminators


def test_temporal_groups_by_hand():
    # K = 3, four new frames of eight: groups that end at 7 and at 4; at scale 1, frames are 3 apart
    assert temporal_groups(8, 4, 3, 0) == [[5, 6, 7], [2, 3, 4]]
    assert temporal_groups(8, 4, 3, 1) == [[1, 4, 7]]
    assert temporal_groups(6, 4, 3, 1) == []


def test_sparse_groups_by_hand():
    # K = 3 in steps of four: the oldest frame is dropped; then 2 and 3 are used again with 4 to 7 for two groups
    assert sparse_groups([4], 3, 0) == [[1, 2, 3]]
    assert sparse_groups([4, 8], 3, 0) == [[2, 3, 4], [5, 6, 7]]
    assert sparse_groups([4, 8], 3, 1) == [[0, 3, 6]]
    assert sparse_groups([4, 8, 9], 3, 1) == []


def test_number_of_temporal_scales():
    # K = 3: scale 0 spans 3 frames, scale 1 spans 7, scale 2 spans 19
    assert [count_temporal_scales(frames, 3) for frames in (2, 3, 6, 7, 18, 19)] == [0, 1, 1, 2, 2, 3]


def test_composed_flow_by_hand():
    flow = torch.zeros(1, 3, 2, 4, 8)
    flow[:, 0, 0], flow[:, 1, 0], flow[:, 2, 1] = 1.0, 2.0, 1.0  # right by 1, right by 2, down by 1
    assert torch.allclose(compose_flow(flow, 0, 2), torch.tensor([3.0, 0.0]).view(1, 2, 1, 1))
    assert torch.allclose(compose_flow(flow, 0, 3), torch.tensor([3.0, 1.0]).view(1, 2, 1, 1))
    # The earlier flow is sampled where the later one points to: column x uses column x + 2.
    flow[:, 0, 0] = torch.arange(8.0)
    assert torch.allclose(compose_flow(flow, 0, 2)[0, 0, 0, :6], torch.arange(8.0)[2:8] + 2)


def test_video_input_contains_frames_then_flow_in_units_of_20_pixels():
    frames = torch.arange(4.0).view(1, 4, 1, 1, 1).expand(1, 4, 3, 2, 2)
    flow = torch.full((1, 3, 2, 2, 2), 10.0)
    found = video_input(frames, flow, [[1, 2, 3], [0, 1, 2]])
    assert found.shape == (2, 13, 2, 2)
    assert found[0, :, 0, 0].tolist() == [1.0] * 3 + [2.0] * 3 + [3.0] * 3 + [0.5] * 4
    assert found[1, :9:3, 0, 0].tolist() == [0.0, 1.0, 2.0]


# ---------------------------------------------------------------- losses


FRAME_FIELDS = ("video", "labels", "instances", "flow", "visibility")


def plain_model(**settings) -> Vid2Vid:
    """One scale, one appearance, no region discriminator."""
    torch.manual_seed(0)
    small = {"width": 8, "downsamplings": 1, "blocks": 2, "discriminator_width": 8, "discriminator_layers": 2}
    config = Vid2VidConfig(**small, given="labels", perceptual="none", **settings)
    return Vid2Vid(config, tiny_data("vid2vid").spec())


def context_frames(model: Vid2Vid, clip, frames: int):
    return [[frame] for frame in clip["video"][:, :frames].unbind(1)]


def constant_chunk(flow, mask=None, values=(0.2, 0.4)):
    """Two frames of constant colour; the chunk consists of the second one."""
    ones = torch.ones(1, 3, 32, 32)
    frames = [[values[0] * ones], [values[1] * ones]]
    return Chunk(
        1, 2, (1, 2), frames, ones[:, None], 0.5 * ones[:, None], values[1] * ones[:, None], ones, flow, mask, None
    )


def test_flow_losses_by_hand():
    """Real frames 0.5, generated frames 0.2 and 0.4; flow error (1, -3), mask 0.3; half of the pixels are visible."""
    model = plain_model(mask_weight=2.0)
    ones = torch.ones(1, 3, 32, 32)
    visible = torch.zeros(1, 1, 1, 32, 32)
    visible[..., :16] = 1
    clip = {"video": torch.stack([0.5 * ones, 0.5 * ones], 1), "flow": torch.zeros(1, 1, 2, 32, 32)}
    clip["visibility"] = visible
    flow = torch.tensor([1.0, -3.0]).view(1, 1, 2, 1, 1).expand(1, 1, 2, 32, 32)
    chunk = constant_chunk(flow, torch.full((1, 1, 1, 32, 32), 0.3))
    losses = {name: float(value) for name, value in model.flow_losses(clip, chunk).items()}
    assert losses["flow"] == pytest.approx(10 * 0.5 * (1 + 3) / 2)
    assert losses["warp"] == pytest.approx(0.0, abs=1e-6)  # a constant image is warped to itself
    assert losses["consistency"] == pytest.approx(10 * 0.5 * 0.2, rel=1e-5)
    assert losses["mask"] == pytest.approx(2 * 0.5 * 0.3)
    clip["video"] = torch.stack(
        [0.2 * ones, 0.5 * ones], 1
    )  # a squared difference of 3·0.09 > 0.02: the flow is unreliable everywhere
    assert all(float(value) == 0 for value in model.flow_losses(clip, chunk).values())


def test_flow_loss_is_in_pixels_of_the_coarsest_scale():
    """As released: with three scales, a quarter of the error in pixels of the finest."""
    flow, zero = torch.ones(1, 1, 2, 4, 4), torch.zeros(1, 1, 3, 4, 4)
    motion = MotionBatch(zero, zero, zero, zero, torch.zeros(1, 1, 2, 4, 4), torch.ones(1, 1, 1, 4, 4))
    assert float(motion_losses(motion, flow, zero[:, :, :1], 3)["flow"]) == pytest.approx(0.25)


def test_losses_with_weight_zero_are_dropped():
    model = plain_model(mask_weight=0.0, consistency_weight=0.0, first_frame="generated")
    clip = {"video": torch.zeros(1, 2, 3, 32, 32), "flow": torch.zeros(1, 1, 2, 32, 32)}
    chunk = constant_chunk(torch.zeros(1, 1, 2, 32, 32), torch.zeros(1, 1, 1, 32, 32))
    assert set(model.flow_losses(clip, chunk)) == {"flow", "warp"}


def test_first_frame_of_a_clip_has_no_flow_losses():
    model, clip = plain_model(), tiny_clip("vid2vid")
    chunk = model.generate_chunk(clip, [], (1,), 0)
    assert model.flow_losses(clip, chunk) == {}
    chunk = model.generate_chunk(clip, [], (3,), 0)
    assert set(model.flow_losses(clip, chunk)) == {"flow", "warp", "consistency", "mask"}


# ---------------------------------------------------------------- recurrence


@pytest.mark.parametrize(("backprop_frames", "connected"), [(1, False), (2, True)])
def test_backpropagation_is_truncated(backprop_frames, connected):
    """With 2, gradients flow from the second frame of a chunk to the first; with 1 they do not."""
    model, clip = plain_model(backprop_frames=backprop_frames), tiny_clip("vid2vid")
    chunk = model.generate_chunk(clip, context_frames(model, clip, 2), (2, 4), 2)
    first, second = chunk.finest_frames[2:]
    gradient = torch.autograd.grad(second.sum(), first, allow_unused=True)[0]
    assert (gradient is not None) == connected


class SavedForBackward(Callback):
    """Counts the elements of the tensors that autograd saves between two optimizer steps."""

    def __init__(self):
        self.sizes = [0]

    def count(self, tensor):
        self.sizes[-1] += tensor.numel()
        return tensor

    def on_before_optimizer_step(self, *_):
        self.sizes.append(0)


@pytest.mark.parametrize("frames_per_step", [1, 2])
def test_memory_of_a_step_follows_the_chunk_and_not_the_clip(frames_per_step, tmp_path):
    """The largest number of elements that autograd saves for one optimizer step does not grow with the clip."""
    saved = {}
    for frames in (4, 8):
        model = plain_model(frames_per_step=frames_per_step, temporal_scales=1, generated_start=1.0)
        clip = {name: field[:, :frames] for name, field in tiny_clip("vid2vid").items() if name in FRAME_FIELDS}
        counter = SavedForBackward()
        with torch.autograd.graph.saved_tensors_hooks(counter.count, lambda tensor: tensor):
            train_on(model, clip, 1, tmp_path, counter)
        saved[frames] = max(counter.sizes)
    assert saved[8] <= 1.02 * saved[4]
    assert saved[4] > 1000


def test_learning_rates_are_constant_for_half_the_budget_and_then_fall_linearly(tmp_path):
    model, seen = plain_model(), []

    class Watch(Callback):
        def on_train_batch_end(self, trainer, *_):
            seen.append([group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups])

    model.config.lr, model.config.discriminator_lr = 1.0e-3, 0.5e-3
    train_on(model, tiny_clip("vid2vid"), 4, tmp_path, Watch())
    # after 0, 1, 2 and 3 of 4 steps: min(1, 2·(1 - progress)) = 1, 1, 1, 1/2
    assert [generator for generator, _, _ in seen] == pytest.approx([1e-3, 1e-3, 1e-3, 0.5e-3])
    assert [flow_head for _, flow_head, _ in seen] == pytest.approx([1e-4, 1e-4, 1e-4, 0.5e-4])
    assert [discriminator for *_, discriminator in seen] == pytest.approx([0.5e-3, 0.5e-3, 0.5e-3, 0.25e-3])


def test_rollout_passes_the_latest_maps_and_frames_to_the_generator():
    arguments = {}

    class Recorder:
        past_frames = 2

        def __call__(self, given, past, warps, freeze_coarse):
            arguments.update(given=[level.flatten().tolist() for level in given], past=past, warps=warps)

    rollout = Rollout(Recorder())
    maps = [torch.arange(5.0).view(1, 5, 1, 1, 1), 10 + torch.arange(5.0).view(1, 5, 1, 1, 1)]
    frames = [[torch.full((1, 3, 1, 1), 100.0 + t), torch.full((1, 3, 1, 1), 200.0 + t)] for t in range(5)]
    rollout.next_frame(maps, frames[:4], 4)
    assert arguments["given"] == [[2, 3, 4], [12, 13, 14]]
    assert arguments["past"][0].flatten().tolist() == [102] * 3 + [103] * 3  # every scale has its own past frames
    assert arguments["past"][1].flatten().tolist() == [202] * 3 + [203] * 3
    assert arguments["warps"]
    rollout.next_frame(maps, frames[:1], 1)
    assert arguments["given"][0] == [0, 0, 1]
    assert arguments["past"][0].flatten().tolist() == [0] * 3 + [100] * 3
    rollout.next_frame(maps, [], 0)
    assert arguments["past"][0].flatten().tolist() == [0] * 6
    assert not arguments["warps"]


def test_sampling_from_pieces_equals_sampling_from_a_whole_clip():
    model, clip = tiny_model("vid2vid").eval(), tiny_clip("vid2vid")
    fields = ("video", "labels", "instances")
    pieces = [{k: v[:, a:b] for k, v in clip.items() if k in fields} for a, b in ((0, 3), (3, 4), (4, 8))]
    whole = model.sample(SampleRequest(8, clip, context=2)).video
    assert torch.equal(model.sample(SampleRequest(8, iter(pieces), context=2)).video, whole)


def test_training_and_sampling_generate_the_same_frames():
    """generate_chunk and stream implement the same recurrence."""
    model, clip = plain_model().eval(), tiny_clip("vid2vid")
    with torch.no_grad():
        chunk = model.generate_chunk(clip, context_frames(model, clip, 1), (1, 8), 1)
    assert torch.equal(torch.stack(chunk.finest_frames, 1), model.sample(SampleRequest(8, clip, context=1)).video)


def test_frames_generated_in_two_chunks_equal_those_of_one():
    """A chunk also sees the maps before its start."""
    model, clip = plain_model().eval(), tiny_clip("vid2vid")
    with torch.no_grad():
        whole = model.generate_chunk(clip, context_frames(model, clip, 2), (2, 8), 2)
        first = model.generate_chunk(clip, context_frames(model, clip, 2), (2, 5), 2)
        second = model.generate_chunk(clip, first.frames, (2, 5, 8), 5)
    assert torch.equal(torch.stack(whole.finest_frames, 1), torch.stack(second.finest_frames, 1))


def test_foreground_gets_its_share_of_the_flow_losses_by_hand():
    """Four pixels, one unreliable; one of the three others is foreground and gets 0.6 of their sum of 3."""
    confidence = torch.tensor([1.0, 1.0, 1.0, 0.0]).view(1, 1, 1, 2, 2)
    foreground = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 1, 2, 2)
    shared = foreground_shared(confidence, foreground, 0.6)
    assert shared.flatten().tolist() == pytest.approx([1.8, 0.6, 0.6, 0.0])
    assert torch.equal(foreground_shared(confidence, 0 * foreground, 0.6), confidence)


def test_foreground_share_weighs_flow_and_warp_but_not_consistency():
    """A tenth of the pixels is the body, where the flow is 5 px off; elsewhere it is exact."""
    model = plain_model(foreground_flow_share=0.5)
    ones = torch.ones(1, 3, 32, 32)
    clip = {"video": torch.stack([0.5 * ones, 0.5 * ones], 1), "flow": torch.zeros(1, 1, 2, 32, 32)}
    labels = torch.full((1, 1, 32, 32), model.spec.label_names.index("sky"))
    labels[..., :8] = model.spec.label_names.index(model.spec.foreground[0])
    flow = torch.zeros(1, 1, 2, 32, 32)
    flow[..., :8] = 5.0
    chunk = replace(constant_chunk(flow, torch.full((1, 1, 1, 32, 32), 0.3)), labels=labels)
    losses = {name: float(value) for name, value in model.flow_losses(clip, chunk).items()}
    assert losses["flow"] == pytest.approx(10 * 0.5 * 5)  # not 10 · 0.25 · 5
    assert losses["consistency"] == pytest.approx(10 * 0.2, rel=1e-5)
