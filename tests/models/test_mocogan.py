"""MoCoGAN: sizes, losses and a whole step by hand, categories, held codes, released generators."""

import math
import sys
import types
from dataclasses import replace
from itertools import islice

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.helpers.paths import GOLDEN
from zoo.convert import convert
from zoo.errors import ZooError
from zoo.models.mocogan.codes import CodeNoise
from zoo.models.mocogan.config import MoCoGANConfig
from zoo.models.mocogan.convert import read_generator
from zoo.models.mocogan.model import MoCoGAN
from zoo.models.mocogan.networks import ImageGenerator, time_kernels
from zoo.runs.load import load
from zoo.sample import sample
from zoo.settings import SampleSettings
from zoo.testing.helpers import train_on
from zoo.types import ClipSpec, SampleRequest

T, B, SIZE = 6, 3, 16
ACTIONS = ("walk", "run", "jack")
SPEC = ClipSpec(
    ("video", "attributes"), T, SIZE, SIZE, fps=10, channels=1, attributes={"action": ACTIONS, "identity": ("a", "b")}
)
LABELS = torch.tensor([0, 2, 1])
CONTENT, MOTION = 8, 4


def tiny(**settings):
    torch.manual_seed(0)
    plain = {"r1": 0.0, "noise": 0.0, "weight_decay": 0.0, **settings}
    return MoCoGAN(replace(MoCoGANConfig.tiny(), **plain), SPEC).double()


def random_clip(labels=LABELS):
    video = torch.rand(B, T, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
    attributes = {"action": labels[:, None].expand(B, T), "identity": torch.zeros(B, T, dtype=torch.int64)}
    return {"video": video, "attributes": attributes, "key": ["a", "b", "c"], "fps": torch.full((B,), 10.0)}


def codes_of(model, request):
    """Codes of all frames of the samples, (B, T, Z)."""
    return torch.stack(list(islice(model._codes(request, model.draw_code(request)), request.frames)), 1)


# ---------------------------------------------------------------- networks


@pytest.mark.parametrize(
    ("frames", "layers", "expected"),
    [(16, 5, [4] * 5), (16, 4, [4] * 4), (13, 4, [4] * 4), (8, 4, [3, 3, 3, 2]), (2, 3, [2, 1, 1]), (20, 5, [4] * 5)],
)
def test_kernels_in_time_leave_one_frame_of_a_short_clip(frames, layers, expected):
    assert time_kernels(frames, layers) == expected


@pytest.mark.parametrize(("categories", "generator", "video"), [(0, 3_249_684, 11_056_896), (6, 3_298_836, 11_253_504)])
def test_paper_has_the_published_number_of_parameters(categories, generator, video):
    spec = ClipSpec(("video",), frames=16, height=64, width=64, fps=8)
    with torch.device("meta"):
        model = MoCoGAN(MoCoGANConfig(preset="paper", categories=categories), spec)
        patches = MoCoGAN(MoCoGANConfig(preset="paper", image_discriminator="full", video_discriminator="patch"), spec)

    def count(*networks):
        return sum(p.numel() for network in networks for p in network.parameters())

    assert count(model.motion_network, model.image_generator) == generator
    assert (count(model.image_discriminator), count(model.video_discriminator)) == (663_296, video)
    assert (count(patches.image_discriminator), count(patches.video_discriminator)) == (2_765_568, 2_650_880)


def test_initial_weights_are_bounded_by_the_input_channels():
    """60 inputs and 4 x 4 positions: 1 / √960."""
    layers = ImageGenerator(60, 8, 3, (64, 64)).layers
    bound = 1 / math.sqrt(960)
    assert 0.95 * bound < float(layers[0].weight.detach().abs().max()) <= bound
    assert float(layers[1].weight.detach().min()) >= 0
    assert 0.3 < float(layers[1].weight.detach().mean()) < 0.7


def test_discriminators_add_noise_in_training_only():
    model = tiny(noise=0.5)
    x = random_clip()["video"]
    for training in (True, False):
        model.train(training)
        for network, batch in ((model.image_discriminator, x[:, 0]), (model.video_discriminator, x)):
            assert torch.equal(network(batch).scores, network(batch).scores) != training


# ---------------------------------------------------------------- losses


def with_outputs(network, score, logits=()):
    """Let a discriminator give the same score and logits for everything."""
    nn.init.zeros_(network.head.weight)
    network.head.bias.data.copy_(torch.tensor([score, *logits]))


def test_losses_by_hand():
    """A score of 0 is a probability of one half; three equal logits have a cross-entropy of ln 3."""
    model, clip = tiny(), random_clip()
    with_outputs(model.image_discriminator, 0.0)
    with_outputs(model.video_discriminator, 0.0, (0.0, 0.0, 0.0))
    image, video = clip["video"][:, 0], clip["video"]
    found = model.image_discriminator_losses(image, image)
    found |= model.video_discriminator_losses(clip, video, None)
    found |= model.generator_losses(image, video, LABELS)
    log2, log3 = math.log(2), math.log(3)
    expected = {"d_image": 2 * log2, "d_video": 2 * log2, "d_category": log3}
    expected |= {"g_image": log2, "g_video": log2, "g_category": log3}
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "trained"),
    [
        ({"category": "action", "infogan": True}, ["d_category", "g_category"]),
        ({"category": "action", "infogan": False}, ["d_category"]),
        ({"category": None, "categories": 3, "infogan": True}, ["d_category", "g_category"]),
        ({"category": None, "categories": 3, "infogan": False}, []),
        ({"category": None}, []),
    ],
    ids=str,
)
def test_which_networks_learn_the_categories(settings, trained):
    model, clip = tiny(**settings), random_clip()
    ids = LABELS if model.categories else None
    losses = model.video_discriminator_losses(clip, clip["video"], ids)
    losses |= model.generator_losses(clip["video"][:, 0], clip["video"], ids)
    assert sorted(name for name in losses if name.endswith("category")) == trained
    assert model.needs_given(0) == (settings["category"] is not None)


def test_classes_are_learnt_from_labels_or_from_generated_clips():
    """Logits (2, 0, 0): cross-entropy ln(e² + 2) - 2 where the first class is right, else ln(e² + 2)."""
    total = math.log(math.exp(2) + 2)
    unlabelled = torch.tensor([0, -1, 1])
    for settings, expected in (
        ({}, (2 * total - 2) / 2),  # of two labelled real clips, one is of the first class
        ({"category": None, "categories": 3}, total),  # no generated clip is of the first class
    ):
        model, clip = tiny(**settings), random_clip(unlabelled)
        with_outputs(model.video_discriminator, 0.0, (2.0, 0.0, 0.0))
        losses = model.video_discriminator_losses(clip, clip["video"], torch.tensor([1, 2, 1]))
        assert losses["d_category"].item() == pytest.approx(expected)


def test_penalty_counts_for_the_steps_between(tmp_path):
    """Every second step, with twice its weight; the last value stays in the log."""
    seen = []

    class Recording(MoCoGAN):
        def step(self, name, losses):
            seen.append({key: float(value.detach()) for key, value in losses.items()})
            super().step(name, losses)

    torch.manual_seed(0)
    model = Recording(replace(MoCoGANConfig.tiny(), r1=3.0, noise=0.0, category=None, lr=1e-9), SPEC).double()
    clip = random_clip()
    train_on(model, clip, 4, tmp_path)
    assert [set(losses) for losses in seen[::3]] == [{"d_image"}, {"d_image", "d_image_r1"}] * 2
    video = clip["video"].requires_grad_()
    scores = model.video_discriminator(video).scores
    gradient = torch.autograd.grad(scores.sum(), video)[0]
    assert seen[4]["d_video_r1"] == pytest.approx(3 * 2 * 0.5 * float(gradient.square().sum()) / B, rel=1e-4)


# ---------------------------------------------------------------- a whole step


def plain_step(model, clip):
    """One step of the release, written out: three Adams, one after the other, each on clips of its own."""
    config = model.config
    parts = {
        "image": [model.image_discriminator], "video": [model.video_discriminator],
        "generator": [model.motion_network, model.image_generator],
    }  # fmt: skip
    adams = {
        name: torch.optim.Adam(
            [p for m in modules for p in m.parameters()],
            config.lr,
            (config.beta1, config.beta2),
            weight_decay=config.weight_decay,
        )
        for name, modules in parts.items()
    }

    def update(name, loss):
        model.zero_grad()
        loss.backward()
        adams[name].step()

    def bce(output, target):
        return F.binary_cross_entropy_with_logits(output.scores, torch.full_like(output.scores, target))

    def videos(stream):
        noise = model.noise(clip, stream)
        state, frames = noise.motion_start, []
        kind = F.one_hot(noise.category, 3).double()
        for t in range(T):
            state = model.motion_network(noise.motion_steps[:, t], state)
            frames.append(torch.cat([noise.content, kind, state], 1))
        return torch.stack(frames, 1), noise.category

    def images(stream):
        codes, _ = videos(stream)
        return model.image_generator(codes[range(B), model.frame_numbers(clip, stream)])

    def clips(stream):
        codes, category = videos(stream)
        return model.image_generator(codes.flatten(0, 1)).view(B, T, 1, SIZE, SIZE), category

    real = model.random_frames(clip, "real images")
    network = model.image_discriminator
    update("image", bce(network(real), 1.0) + bce(network(images("d_image").detach()), 0.0))
    network, output = model.video_discriminator, model.video_discriminator(clip["video"])
    loss = bce(output, 1.0) + bce(network(clips("d_video")[0].detach()), 0.0)
    update("video", loss + F.cross_entropy(output.logits, LABELS))
    generated = images("g_image")
    video, category = clips("g_video")
    output = network(video)
    loss = bce(model.image_discriminator(generated), 1.0) + bce(output, 1.0) + F.cross_entropy(output.logits, category)
    update("generator", loss)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_step_is_that_of_the_release(norm, tmp_path, monkeypatch):
    """In another order, or with the same clips for all networks, the weights would differ."""
    settings = {"discriminator_norm": norm, "beta1": 0.5, "weight_decay": 1e-2}
    model, clip = tiny(**settings), random_clip()
    train_on(model, clip, 1, tmp_path)
    other = tiny(**settings).train()
    monkeypatch.setattr(other, "sample_indices", lambda clip, count=None: list(range(count or B)))
    plain_step(other, clip)
    for key, value in other.state_dict().items():
        assert torch.allclose(model.state_dict()[key].double(), value.double(), rtol=1e-7, atol=1e-9), key


class ConvolutionGradients(TorchDispatchMode):
    """Records for which 5-d weights a backward pass of a convolution computes a gradient."""

    def __init__(self):
        super().__init__()
        self.of_weights = []

    def __torch_dispatch__(self, function, kinds, args=(), kwargs=None):
        if function is torch.ops.aten.convolution_backward.default and args[2].ndim == 5:
            self.of_weights.append(args[-1][1])
        return function(*args, **(kwargs or {}))


def test_generator_step_needs_no_gradients_of_the_discriminators(tmp_path):
    """The generator has no 3-d convolution, so its step computes none of their gradients but those of the input."""
    recorded = {}

    class Recording(MoCoGAN):
        def step(self, name, losses):
            with ConvolutionGradients() as mode:
                super().step(name, losses)
            recorded[name] = mode.of_weights

    torch.manual_seed(0)
    model = Recording(replace(MoCoGANConfig.tiny(), r1=0.0), SPEC).double()
    train_on(model, random_clip(), 1, tmp_path)
    layers = len(model.video_discriminator.stages) + 1
    assert recorded["video_discriminator"] == [True] * (2 * layers)  # of real and of generated clips
    assert recorded["generator"] == [False] * layers


# ---------------------------------------------------------------- sampling


def test_content_and_motion_can_be_held():
    model = tiny(category=None).eval()
    plain = codes_of(model, SampleRequest(T, clips=4))
    for part, entries, others in (
        ("content", slice(None, CONTENT), slice(CONTENT, None)),
        ("motion", slice(CONTENT, None), slice(None, CONTENT)),
    ):
        held = codes_of(model, SampleRequest(T, clips=3, draw=1, options={part: 3}))
        assert torch.allclose(held[..., entries], plain[3:, :, entries].expand(3, -1, -1))
        free = codes_of(model, SampleRequest(T, clips=3, draw=1))
        assert torch.allclose(held[..., others], free[..., others])
        assert not torch.allclose(held[0, ..., others], held[1, ..., others])


def test_content_is_the_same_in_all_frames_and_motion_is_not():
    codes = codes_of(tiny(category=None).eval(), SampleRequest(T, clips=2))
    assert torch.equal(codes[:, 1:, :CONTENT], codes[:, :-1, :CONTENT])
    assert (codes[:, 1:, CONTENT:] - codes[:, :-1, CONTENT:]).abs().min() > 0


def category_of(model, request):
    """Id of the category of every frame, (B, T)."""
    kind = codes_of(model, request)[..., CONTENT:-MOTION]
    assert torch.equal(kind.sum(-1), torch.ones(kind.shape[:2], dtype=kind.dtype))
    return kind.argmax(-1)


def test_category_is_chosen_by_name():
    model = tiny().eval()

    def chosen(text, **more):
        return category_of(model, SampleRequest(T, options={"attributes": {"action": text}}, **more)).tolist()

    assert chosen("run", clips=2) == [[1] * T] * 2
    assert chosen("walk@0,jack@4") == [[0, 0, 0, 0, 2, 2]]
    assert chosen("jack", given=random_clip()) == [[2] * T] * B
    with pytest.raises(ZooError, match="`jump` is not a value of action"):
        chosen("jump")
    with pytest.raises(ZooError, match="mocogan has no attribute `identity`"):
        category_of(model, SampleRequest(T, options={"attributes": {"identity": "a"}}))


def test_category_is_that_of_the_given_clip_or_random():
    model = tiny().eval()
    assert torch.equal(category_of(model, SampleRequest(T, random_clip())), LABELS[:, None].expand(B, T))
    drawn = category_of(model, SampleRequest(T, clips=60))
    assert torch.equal(drawn, drawn[:, :1].expand(-1, T))
    assert set(drawn[:, 0].tolist()) == {0, 1, 2}


def test_categories_without_labels_have_numbers():
    model = tiny(category=None, categories=3).eval()
    request = SampleRequest(T, random_clip(), options={"attributes": {"category": "2"}})
    assert category_of(model, request).tolist() == [[2] * T] * B


def test_frames_share_their_statistics_while_those_are_estimated():
    """As in training, batch norm then sees all frames of all samples at once."""
    model, request = tiny().train(), SampleRequest(T, clips=2)
    expected = model.image_generator(codes_of(model, request).flatten(0, 1)).view(2, T, 1, SIZE, SIZE)
    assert torch.equal(model.sample(request).video, expected)
    streamed = torch.stack([frame.video for frame in model.eval().stream(request)], 1)
    assert torch.equal(model.sample(request).video, streamed)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"category": "action", "categories": 3}, "one too many"),
        ({"category": "action", "video_discriminator": "patch"}, "does not classify"),
        ({"categories": 3, "video_discriminator": "patch"}, "does not classify"),
        ({"image_discriminator": "pixel"}, "Choices: full, patch"),
        ({"discriminator_norm": "instance"}, "Choices: none, batch"),
        ({"r1_every": 0}, "model.r1_every is 0, but at least 1"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ZooError, match=message):
        MoCoGANConfig(**settings)


def test_category_must_be_an_attribute_of_the_clips():
    assert MoCoGANConfig(category="action").problems(SPEC) == []
    assert "Did you mean `action`?" in MoCoGANConfig(category="actions").problems(SPEC)[0]
    assert "They have no attributes" in MoCoGANConfig(category="action").problems(replace(SPEC, attributes={}))[0]
    assert "cannot be halved" in MoCoGANConfig().problems(replace(SPEC, height=50))[0]


# ---------------------------------------------------------------- released generators


@pytest.fixture
def released(monkeypatch):
    """Writes the generator of a record as the release does: a module of a class that exists only while writing."""
    record = torch.load(GOLDEN / "mocogan" / "videos_categorical.pt", weights_only=True)
    source = types.ModuleType("models")
    kind = type("VideoGenerator", (nn.Module,), {"__module__": "models"})
    source.VideoGenerator = kind

    def write(path, zipped=True, **changed):
        options, state = record["options"], record["state_dict"]["generator"]
        generator = kind()
        names = ("n_channels", "channels"), *((n, n) for n in ("dim_z_content", "dim_z_category", "dim_z_motion"))
        for attribute, name in (*names, ("video_length", "video_length")):
            setattr(generator, attribute, changed.get(attribute, options[name]))
        generator.recurrent = nn.GRUCell(options["dim_z_motion"], options["dim_z_motion"])
        layers = []
        for number in range(14):
            weight = state.get(f"main.{number}.weight")
            if weight is None:
                layers.append(nn.Tanh() if number == 13 else nn.ReLU(inplace=True))
            elif weight.ndim == 4:
                layers.append(nn.ConvTranspose2d(*weight.shape[:2], 4, bias=False))
            else:
                layers.append(nn.BatchNorm2d(len(weight)))
        generator.main = nn.Sequential(*layers)
        generator.load_state_dict(state)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "models", source)
            torch.save(generator, path, _use_new_zipfile_serialization=zipped)
        return path

    return record, write


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_released_generator_is_converted(released, tmp_path, zipped):
    record, write = released
    convert("mocogan", write(tmp_path / "generator.pytorch", zipped), tmp_path / "run", {"fps": 12})
    model = load(str(tmp_path / "run"))
    config, spec = model.config, model.spec
    assert (config.content, config.categories, config.motion, config.width) == (5, 3, 4, 2)
    assert (spec.frames, spec.height, spec.channels, spec.fps) == (16, 64, 1, 12.0)
    noise = record["noise"]
    video = model.generate_videos(
        CodeNoise(noise["content"], noise["category"], noise["motion_start"], noise["motion_steps"])
    )
    assert (video - record["eval"]["video"]).norm() < 1e-5 * record["eval"]["video"].norm()
    request = SampleRequest(3, options={"attributes": {"category": "2"}})
    assert model.sample(request).video.shape == (1, 3, 1, 64, 64)


def test_command_holds_content_or_motion(released, tmp_path):
    convert("mocogan", released[1](tmp_path / "generator.pytorch"), tmp_path / "run", {})
    settings = SampleSettings(run=str(tmp_path / "run"), clips=2, frames=2, content=1, accelerator="cpu")
    written = {path.name for path in sample(settings) if path.suffix == ".mp4"}
    assert written == {f"sample_{number}-content1-seed0-draw0.mp4" for number in (0, 1)}
    with pytest.raises(ZooError, match="motion is -1, but at least 0 is required"):
        sample(replace(settings, motion=-1))
    with pytest.raises(ZooError, match="mocogan has no sampling option `temperature`"):
        sample(replace(settings, temperature=0.5))


@pytest.mark.parametrize("categories", [8, -1, 10**9])
def test_impossible_categories_are_refused(released, tmp_path, categories):
    file = released[1](tmp_path / "generator.pytorch", dim_z_category=categories)
    with pytest.raises(ZooError, match=f"dim_z_category is {categories}"):
        MoCoGAN.convert(file, {})


class RunsCode:
    """What a malicious pickle is made of."""

    def __reduce__(self):
        return (print, ("this must not run",))


def test_other_files_are_refused(tmp_path, capsys):
    file = tmp_path / "generator.pytorch"
    with pytest.raises(ZooError, match="is not a file"):
        read_generator(file)
    torch.save(RunsCode(), file)
    with pytest.raises(ZooError, match="run code"):
        read_generator(file)
    assert "must not run" not in capsys.readouterr().out
    torch.save({"main.0.weight": torch.zeros(1)}, file)
    with pytest.raises(ZooError, match="is not one of MoCoGAN's"):
        read_generator(file)
    with pytest.raises(ZooError, match="height= does not apply"):
        MoCoGAN.convert(file, {"height": 64})
