"""Shared parts of vid2vid and pix2pixHD: maps, norms, appearances, curriculum, region discriminator."""

import numpy as np
import pytest
import torch
from torch import nn

from zoo import ZooError, build
from zoo.blocks.appearance import (
    MAX_INSTANCES,
    AppearanceEncoder,
    AppearanceMixtures,
    region_appearances,
    region_ids,
    region_mean,
)
from zoo.blocks.convolution import find_norm
from zoo.blocks.image_generator import GlobalGenerator, LocalEnhancer
from zoo.blocks.maps import check_label_ids, halve, instance_edges, one_hot, pyramid
from zoo.models.image_translation.appearance_memory import AppearanceMemory, ChosenAppearance
from zoo.models.image_translation.model import slice_frames
from zoo.models.image_translation.objective import ImageBatch, crop, region_box
from zoo.models.pix2pixhd.config import Pix2PixHDConfig
from zoo.models.vid2vid.config import Vid2VidConfig
from zoo.testing import tiny_clip, tiny_data, tiny_model, train_as_commanded, train_on
from zoo.types import Appearance, ClipSpec, CurriculumStage, SampleRequest

# ---------------------------------------------------------------- maps


def test_labels_become_one_hot_channels():
    maps = one_hot(torch.tensor([[[[0, 2], [4, 1]]]]), 5)
    assert maps.shape == (1, 1, 5, 2, 2)
    assert maps[0, 0, :, 0, 1].tolist() == [0, 0, 1, 0, 0]
    assert maps[0, 0, :, 1, 0].tolist() == [0, 0, 0, 0, 1]


def test_label_ids_outside_the_range_are_rejected():
    with pytest.raises(ZooError, match=r"contains ids from 0 to 7, but this model was built for 5 classes, 0 to 4"):
        check_label_ids(torch.tensor([[[[0, 7]]]]), 5)
    with pytest.raises(ZooError, match="ids from -2 to 2"):
        check_label_ids(torch.tensor([[[[-2, 2]]]]), 5)
    check_label_ids(torch.tensor([[[[0, 4]]]]), 5)


@pytest.mark.parametrize("name", ["vid2vid", "pix2pixhd"])
def test_label_ids_are_checked_in_training_sampling_and_streaming(name, tmp_path):
    model, clip = tiny_model(name), tiny_clip(name)
    clip["labels"][0, -1, 0, 0] = 99
    with pytest.raises(ZooError, match="ids from 0 to 99"):
        train_on(model, clip, 1, tmp_path)
    with pytest.raises(ZooError, match="ids from 0 to 99"):
        model.sample(SampleRequest(2, clip, context=1))
    pieces = (slice_frames(clip, t, t + 1) for t in range(clip["labels"].shape[1]))
    frames = model.stream(SampleRequest(8, pieces, context=1))
    for _ in range(7):  # pieces are checked when they are needed
        next(frames)
    with pytest.raises(ZooError, match="ids from 0 to 99"):
        next(frames)


def test_instance_edges_mark_both_sides_of_a_border():
    ids = torch.tensor([[1, 1, 2], [1, 1, 2], [3, 1, 2]])
    assert instance_edges(ids)[0].tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1]]


def test_halving_averages_only_pixels_inside_the_image():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    # 3 x 3 windows around every second pixel: at the corner, only the 2 x 2 pixels 0, 1, 4 and 5 are inside
    assert halve(image)[0, 0].tolist() == [[2.5, 4.0], [8.5, 10.0]]
    assert [level.shape[-1] for level in pyramid(image, 3)] == [1, 2, 4]


def test_instance_map_of_another_size_is_rejected():
    model, clip = tiny_model("vid2vid"), tiny_clip("vid2vid")
    clip["instances"] = clip["instances"][..., :16]
    with pytest.raises(ZooError, match="instance maps have the shape"):
        model.input_maps(clip)


def test_map_contains_classes_then_instance_edges():
    model, clip = tiny_model("vid2vid"), tiny_clip("vid2vid")
    maps = model.input_maps(clip)
    assert maps.shape[2] == len(model.spec.label_names) + 1
    assert torch.equal(maps[:, :, :-1].argmax(2), clip["labels"])
    assert torch.equal(maps[:, :, -1:], instance_edges(clip["instances"]))


# ---------------------------------------------------------------- norms


def test_batch_norm_uses_the_statistics_of_each_image_in_evaluation():
    norm = find_norm("batch")(2).eval()
    nn.init.constant_(norm.weight, 3.0)
    nn.init.constant_(norm.bias, 0.5)
    x = torch.tensor([[0.0, 2.0], [10.0, 30.0]]).view(2, 1, 1, 2).expand(2, 2, 1, 2)
    # both values of an image are one standard deviation from their mean: ±1, times 3, plus 0.5
    assert torch.allclose(norm(x)[:, 0, 0], torch.tensor([[-2.5, 3.5], [-2.5, 3.5]]), atol=1e-4)
    deviation = float(x[:, 0].std(unbiased=False))
    expected = 3 * (x - x[:, :1].mean()) / deviation + 0.5
    assert torch.allclose(norm.train()(x), expected, atol=1e-4)  # in training, the statistics of the batch


def test_norms_use_running_statistics_if_configured():
    x = torch.randn(1, 2, 8, 8) * 5 + 3
    for kind in ("batch", "instance"):
        assert torch.allclose(find_norm(kind, "running")(2).eval()(x), x, atol=1e-3)
        assert find_norm(kind)(2).eval()(x).mean().abs() < 1e-3
    with pytest.raises(ZooError, match=r"norm_statistics=runing is not a choice\. Did you mean `running`"):
        find_norm("batch", "runing")


# ---------------------------------------------------------------- image generators


@pytest.mark.parametrize(
    ("width", "downsamplings", "expected"),
    [(64, 3, 45.69e6), (64, 4, 182.5e6)],  # sizes of the release at 512 and 1024 pixels
)
def test_global_generator_has_the_published_size(width, downsamplings, expected):
    with torch.device("meta"):
        network = GlobalGenerator(35, width, downsamplings, 9, find_norm("instance"))
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(expected, rel=2e-3)


def test_local_enhancer_has_the_published_size():
    with torch.device("meta"):
        network = LocalEnhancer(35, 32, 4, 9, find_norm("instance"))
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(182.85e6, rel=2e-3)


def test_face_networks_have_the_published_sizes():
    with torch.device("meta"):
        encoder = AppearanceEncoder(16, 16, 4, find_norm("instance"))
        generator = GlobalGenerator(15, 64, 3, 9, find_norm("instance"), 16)
    assert sum(p.numel() for p in encoder.parameters()) == 799_008
    assert sum(p.numel() for p in generator.parameters()) == pytest.approx(48.45e6, rel=2e-3)


# ---------------------------------------------------------------- appearances


def test_region_mean_by_hand():
    features = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]], [[[10.0, 20.0], [30.0, 50.0]]]])
    regions = torch.tensor([[[4, 4], [9, 4]], [[4, 9], [9, 9]]])
    # image 1: the mean of region 4 is (1 + 3 + 7) / 3; region 4 of image 2 is another one
    pooled = region_mean(features, regions)[:, 0]
    assert torch.allclose(pooled, torch.tensor([[[11 / 3, 11 / 3], [5, 11 / 3]], [[10, 100 / 3], [100 / 3, 100 / 3]]]))
    appearances = region_appearances(features[0], regions[0])
    assert {region: appearance.tolist() for region, appearance in appearances.items()} == {
        4: [pytest.approx(11 / 3)],
        9: [5.0],
    }


def test_region_means_of_bfloat16_are_summed_in_float32():
    """On a GPU, a sum in bfloat16 stops growing at 256 times the addend; see tests/devices/test_gpu.py."""
    features = torch.rand(1, 2, 8, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    pooled = region_mean(features, torch.zeros(1, 8, 8, dtype=torch.int64))
    assert pooled.dtype == torch.float32
    assert torch.allclose(pooled[0, :, 0, 0], features.float().mean((0, 2, 3)))


def test_region_ids_combine_class_and_instance():
    labels, instances = torch.tensor([[3, 3], [4, 4]]), torch.tensor([[1, 2], [1, 1]])
    assert region_ids(labels, instances).unique().tolist() == [
        3 * MAX_INSTANCES + 1,
        3 * MAX_INSTANCES + 2,
        4 * MAX_INSTANCES + 1,
    ]
    assert region_ids(labels, None).unique().tolist() == [3 * MAX_INSTANCES, 4 * MAX_INSTANCES]


def test_mixtures_are_fitted_to_the_appearances_of_each_class():
    """Class 0 has two modes, class 1 one appearance; class 2 has no samples."""
    source = np.random.default_rng(0)
    appearances = []
    for image in range(200):
        colour = (0.8, 0.0) if image % 4 else (-0.8, 0.0)
        noisy = torch.tensor(np.array(colour) + 0.02 * source.standard_normal(2)).float()
        appearances.append({0 * MAX_INSTANCES + 1: noisy, 1 * MAX_INSTANCES + 1: torch.tensor([0.1, 0.5])})
    mixtures = AppearanceMixtures(3, 2, 2)
    mixtures.fit(appearances)
    assert sorted(mixtures.weights[0].tolist()) == pytest.approx([0.25, 0.75], abs=0.01)
    assert sorted(mixtures.means[0, :, 0].tolist()) == pytest.approx([-0.8, 0.8], abs=0.01)
    draws = torch.stack([mixtures.draw(1, seed) for seed in range(200)])
    assert (draws[:, 0] > 0).float().mean().item() == pytest.approx(0.75, abs=0.1)
    assert draws[draws[:, 0] > 0, 0].std().item() == pytest.approx(0.02, abs=0.015)
    assert (mixtures.draw(1 * MAX_INSTANCES + 1, 5) - torch.tensor([0.1, 0.5])).abs().max() < 0.05
    assert mixtures.draw(2 * MAX_INSTANCES + 1, 5).isfinite().all()


def test_drawn_appearances_depend_only_on_region_and_seeds():
    mixtures = AppearanceMixtures(2, 1, 3)
    torch.rand(3)
    assert torch.equal(mixtures.draw(7, 1, 2), mixtures.draw(7, 1, 2))
    assert not torch.equal(mixtures.draw(7, 1, 2), mixtures.draw(7, 1, 3))
    assert not torch.equal(mixtures.draw(7, 1, 2), mixtures.draw(8, 1, 2))


def test_appearance_memory_prefers_chosen_then_observed_then_drawn():
    mixtures = AppearanceMixtures(5, 1, 1)
    image = torch.tensor([[[0.1, 0.3], [0.9, 0.9]]])
    appearance = Appearance(torch.zeros(3, 2, 2), instance=7, labels=torch.tensor([[2, 2], [4, 4]]))
    memory = AppearanceMemory(mixtures, (0,), ChosenAppearance(appearance, image))
    memory.observe({3 * MAX_INSTANCES + 1: torch.tensor([-0.5])})
    memory.observe({3 * MAX_INSTANCES + 1: torch.tensor([0.0])})  # the first appearance is kept
    assert memory.appearance(2 * MAX_INSTANCES + 7).tolist() == pytest.approx([0.2])  # instance 7, class 2
    # Class 3 is not in the chosen image, which gives it its mean.
    assert memory.appearance(3 * MAX_INSTANCES + 7).tolist() == pytest.approx([0.55])
    assert memory.appearance(3 * MAX_INSTANCES + 1).tolist() == [-0.5]
    drawn = memory.appearance(2 * MAX_INSTANCES + 1)
    assert torch.equal(drawn, mixtures.draw(2 * MAX_INSTANCES + 1, 0))
    appearance_map = memory.appearance_map(torch.tensor([[3 * MAX_INSTANCES + 1, 2 * MAX_INSTANCES + 7]]))
    assert appearance_map[0, 0].tolist() == pytest.approx([-0.5, 0.2])


def test_appearance_can_be_chosen_from_one_instance_of_an_image():
    features = torch.tensor([[[0.1, 0.3], [0.9, 0.9]]])
    instances = torch.tensor([[1, 2], [2, 2]])
    chosen = ChosenAppearance(Appearance(torch.zeros(3, 2, 2), 0, None, instances, source=1), features)
    assert chosen.mean.tolist() == pytest.approx([0.1])
    with pytest.raises(ZooError, match=r"source=5 is not an instance of the image. Known: \[1, 2\]"):
        ChosenAppearance(Appearance(torch.zeros(3, 2, 2), 0, None, instances, source=5), features)


@pytest.fixture(scope="module", params=["vid2vid", "pix2pixhd"])
def multimodal(request, tmp_path_factory):
    """A multimodal model, trained through its curriculum and with fitted mixtures, and a clip."""
    model = tiny_model(request.param)
    train_as_commanded(model, request.param, 8, tmp_path_factory.mktemp("run"))
    return model.eval(), tiny_clip(request.param)


def test_draws_differ_in_appearance_and_keep_it_throughout_the_video(multimodal):
    model, clip = multimodal
    assert not torch.equal(model.mixtures.means, torch.zeros_like(model.mixtures.means))
    request = SampleRequest(8, clip)
    first, again, second = (model.sample(SampleRequest(8, clip, draw=draw)).video for draw in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    memory = model.appearance_memories(request, 1)[0]
    regions = model.regions(clip)[0]
    appearances = [
        dict(zip(regions[t].flatten().tolist(), memory.appearance_map(regions[t]).flatten(1).T, strict=False))
        for t in (0, 5)
    ]
    for region in set(appearances[0]) & set(appearances[1]):
        assert torch.equal(appearances[0][region], appearances[1][region])


def test_appearances_are_taken_from_the_given_frames(multimodal):
    """With a real first frame, draws agree on the regions that it contains."""
    model, clip = multimodal
    one, other = (model.sample(SampleRequest(2, clip, context=1, draw=draw)).video for draw in (0, 1))
    labels, instances = clip["labels"], clip["instances"]
    new = set(region_ids(labels, instances)[:, 1].unique().tolist()) - set(
        region_ids(labels, instances)[:, 0].unique().tolist()
    )
    assert new or torch.equal(one, other)


def test_a_chosen_appearance_changes_the_sample(multimodal):
    model, clip = multimodal
    instance = int(clip["instances"][:, 0].max())
    appearance = Appearance(torch.ones(3, 32, 32), instance)
    plain = model.sample(SampleRequest(2, clip)).video
    chosen = model.sample(SampleRequest(2, clip, options={"appearance": appearance})).video
    assert not torch.equal(plain, chosen)


def test_models_with_one_appearance_reject_a_chosen_appearance():
    spec = tiny_data("vid2vid").spec()
    model = build({"name": "vid2vid", "width": 8, "blocks": 2, "perceptual": "none"}, spec)
    with pytest.raises(
        ZooError, match=r"generates one appearance of a map. To choose appearances, train it with model.appearance"
    ):
        model.sample(SampleRequest(2, tiny_clip("vid2vid"), options={"appearance": Appearance(torch.ones(3, 32, 32))}))
    assert not model.multimodal


# ---------------------------------------------------------------- region discriminator


def corner_of(box):
    """First row and first column of a box around a region that is present."""
    assert box.present == 1
    for indices in (box.rows, box.columns):
        assert indices.diff().tolist() == [1] * (len(indices) - 1)
    return int(box.rows[0]), int(box.columns[0])


def test_region_box_by_hand():
    region = torch.zeros(2, 16, 16, dtype=torch.bool)
    region[0, 4, 6], region[1, 9, 8] = True, True  # rows 4 to 9, columns 6 to 8: centres 6 and 7
    assert corner_of(region_box(region, 4)) == (4, 5)
    region[1, 15, 0] = True  # rows 4 to 15, columns 0 to 8: centres 9 and 4
    assert corner_of(region_box(region, 4)) == (7, 2)
    corner = torch.zeros(8, 8, dtype=torch.bool)
    corner[7, 0] = True
    assert corner_of(region_box(corner, 4)) == (4, 0)
    assert region_box(torch.zeros(8, 8, dtype=torch.bool), 4).present == 0
    (part,) = crop([torch.arange(64.0).view(8, 8)], region_box(corner, 4))
    assert part.shape == (4, 4)
    assert part[0].tolist() == [32, 33, 34, 35]


def test_region_losses_are_zero_if_no_image_contains_the_region():
    model = tiny_model("pix2pixhd")
    maps, image = torch.rand(1, model.map_channels, 32, 32), torch.rand(1, 3, 32, 32)
    labels = torch.zeros(1, 32, 32, dtype=torch.int64)
    images = ImageBatch(maps, image, {"image": 1 - image}, labels)
    region_losses = {"g_region", "features_region", "d_region"}
    generator, discriminator = model.objective.losses(images)
    losses = generator | discriminator
    assert {name for name, value in losses.items() if value == 0} == region_losses
    labels[0, 3, 4] = model.spec.label_names.index("head")
    generator, discriminator = model.objective.losses(images)
    losses = generator | discriminator
    assert all(losses[name] > 0 for name in region_losses)


# ---------------------------------------------------------------- curriculum


def test_scales_join_one_after_another():
    config = Vid2VidConfig(scales=3, clips_per_scale=100, freeze_coarse_clips=20)
    found = [config.curriculum_stage(seen) for seen in (0, 99, 100, 119, 120, 200, 219, 220, 10_000)]
    assert [stage.downscale for stage in found] == [4, 4, 2, 2, 2, 1, 1, 1, 1]
    assert [stage.freeze_coarse for stage in found] == [False, False, True, True, False, True, True, False, False]


def test_clip_length_doubles_every_double_clips():
    config = Vid2VidConfig(clip_frames=6, double_clips=50)
    assert [config.curriculum_stage(seen).frames for seen in (0, 49, 50, 149, 150)] == [6, 6, 12, 24, 48]
    assert Vid2VidConfig().curriculum_stage(0) == CurriculumStage()


def test_sampling_uses_only_trained_scales():
    spec = tiny_data("pix2pixhd").spec()
    settings = {"width": 8, "blocks": 2, "scales": 2, "clips_per_scale": 10, "given": "labels", "perceptual": "none"}
    model = build({"name": "pix2pixhd", **settings}, spec).eval()
    clip = tiny_clip("pix2pixhd")
    videos = []
    for seen in (0, 10, 11):
        model.clips_seen = seen
        videos.append(model.sample(SampleRequest(1, clip)).video)
    assert model.trained_scales == 2
    assert torch.equal(videos[0], videos[1])  # only the coarse generator was trained with the first ten clips
    assert not torch.equal(videos[1], videos[2])
    assert videos[0].shape == videos[2].shape


# ---------------------------------------------------------------- settings that do not fit the clips


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"scales": 2, "downsamplings": 2, "clips_per_scale": 1},
            "needs a width that is a multiple of 8 and at least 16",
        ),
        ({"scales": 4}, "model.scales is 4, but at most 3 is allowed. Try: model.scales=1"),
        ({"region": ["haed"]}, "model.region=haed is not a class of the data set. Did you mean `head`"),
        ({"given": "condition"}, "model.given=condition, but the data set provides video, labels"),
        ({"first_frame": "image"}, "needs a model that generates the first frame. Type model.image_run="),
        ({"scales": 2}, "Try: model.clips_per_scale="),
        ({"clip_frames": 2, "double_clips": 5}, "Try: model.clip_frames=3"),
        ({"perceptual": "vgg"}, "model.perceptual=vgg is not a choice. Did you mean `vgg19`"),
    ],
)
def test_settings_that_do_not_fit_are_rejected_with_a_suggestion(settings, message):
    spec = ClipSpec(("video", "labels", "flow"), 8, 64, 68, 12.5, label_names=("head", "torso"))
    with pytest.raises(ZooError) as problem:
        raise ZooError("\n".join(Vid2VidConfig(**settings).problems(spec)))
    assert message in str(problem.value)


def test_appearances_need_labels():
    spec = ClipSpec(("video", "condition"), 8, 64, 64, 12.5, condition_channels=1)
    assert "Try: model.given=labels" in "".join(Pix2PixHDConfig(appearance_features=3).problems(spec))
