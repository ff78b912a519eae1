"""SVG: whole-clip training against a loop over frames, batch norm per time step, sampling, sizes, released files."""

import pickle
import sys
import types
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.helpers.paths import GOLDEN
from zoo.blocks.skip_autoencoder import NormedConvolution
from zoo.blocks.step_norm import NormPlan, normalise_steps
from zoo.convert import convert
from zoo.errors import ZooError
from zoo.models.svg.config import SVGConfig
from zoo.models.svg.convert import read_checkpoint
from zoo.models.svg.model import SVG, to_unit_range
from zoo.runs.load import load
from zoo.types import ClipSpec, SampleRequest

T, B, A = 6, 3, 2
SPEC = ClipSpec(("video", "actions"), frames=T, height=16, width=16, fps=10, channels=1, action_names=("x", "y"))


def tiny(spec=SPEC, **settings):
    torch.manual_seed(0)
    return SVG(replace(SVGConfig.tiny(), **settings), spec).double()


def random_clip(frames=T):
    source = torch.Generator().manual_seed(1)
    video = torch.rand(B, frames, 1, 16, 16, generator=source, dtype=torch.float64) * 2 - 1
    actions = torch.randn(B, frames, A, generator=source, dtype=torch.float64)
    return {"video": video, "actions": actions, "key": ["a", "b", "c"], "fps": torch.full((B,), 10.0)}


def request(frames=T, context=2, **fields):
    return SampleRequest(frames, random_clip(), context, **fields)


# ---------------------------------------------------------------- training


def loop_over_frames(model, clip, noise):
    """The loss as the paper trains: one pass of every network per frame, each frame normalised by itself."""
    video, config = to_unit_range(clip["video"]), model.config
    states, maps, loss = {}, None, 0.0

    def run(name, *inputs):
        output, states[name] = getattr(model, name)(torch.cat(inputs, -1), states.get(name))
        return output

    for i in range(1, T):
        code, skips = model.encoder(video[:, i - 1 : i])
        target, _ = model.encoder(video[:, i : i + 1])
        held = config.context + (config.skips == "last")
        if i == 1 or i < held or config.skips == "previous":
            maps = model.skip_projection(skips)
        action = clip["actions"][:, i - 1 : i]
        inputs = [code, action]
        if model.posterior is not None:
            q = run("posterior", target)
            inputs.insert(1, q.mean + (q.log_variance / 2).exp() * noise[:, i - 1 : i])
            mean, variance = q.mean, q.log_variance.exp()
            prior = run("prior", code, action) if model.prior is not None else None
            other, width = (prior.mean, prior.log_variance.exp()) if prior else (0.0, torch.ones_like(variance))
            kl = (width / variance).log() / 2 + (variance + (mean - other) ** 2) / (2 * width) - 0.5
            loss = loss + config.beta * kl.sum() / B
        frame = model.decoder(run("predictor", *inputs), maps)
        loss = loss + ((frame - video[:, i : i + 1]) ** 2).mean()
    return loss


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"prior": "fixed", "skips": "last"},
        {"prior": "none", "skips": "previous", "backbone": "vgg"},
        {"context": 1, "posterior_layers": 2},
    ],
    ids=str,
)
def test_whole_clip_training_equals_a_loop_over_frames(settings):
    model, clip = tiny(beta=0.1, **settings).train(), random_clip()
    noise = torch.randn(B, T - 1, 4, dtype=torch.float64)
    terms = model.loss_terms(clip, noise)
    loss = terms["reconstruction"].sum() + (0.1 * terms["kl"].sum() if "kl" in terms else 0.0)
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters)
    slow = loop_over_frames(model, clip, noise)
    assert torch.allclose(loss, slow, rtol=1e-9)
    for name, one, other in zip(names, gradients, torch.autograd.grad(slow, parameters), strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-10), name
        assert one.abs().sum() > 0, name


def test_batch_norm_per_time_step():
    """Step 0 has the values 1 and 3, step 1 has 10 and 20: each becomes -1 and 1. The averages move by a tenth."""
    norm = nn.BatchNorm2d(1, eps=1e-12)
    x = torch.tensor([[1.0, 10.0], [3.0, 20.0]]).view(2, 2, 1, 1, 1)
    assert normalise_steps(norm, x, NormPlan()).flatten().tolist() == pytest.approx([-1, -1, 1, 1])
    assert float(norm.running_mean) == pytest.approx(0.1 * (2 + 15) / 2)
    assert float(norm.running_var) == pytest.approx(0.9 + 0.1 * (2 + 50) / 2)
    together = normalise_steps(nn.BatchNorm2d(1, eps=1e-12), x, NormPlan(over_time=True)).flatten()
    assert torch.allclose(together, (x.flatten() - 8.5) / x.flatten().std(correction=0))


def test_other_norm_layers_have_the_same_statistics():
    """A layer of another class, such as one synced over processes, is called once per time step."""

    class Other(nn.BatchNorm2d):
        pass

    x, layers = torch.randn(4, 3, 2, 5, 5), (nn.BatchNorm2d(2), Other(2))
    assert torch.allclose(*(normalise_steps(layer, x, NormPlan()) for layer in layers), atol=1e-5)
    for key, value in layers[0].state_dict().items():
        assert torch.allclose(value, layers[1].state_dict()[key]), key


def test_evaluation_uses_the_statistics_of_the_batch_on_request():
    norm = nn.BatchNorm2d(1, eps=1e-12).eval()
    x = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1, 1)
    assert normalise_steps(norm, x, NormPlan()).flatten().tolist() == pytest.approx([1, 3])
    plan = NormPlan(statistics="batch")
    assert normalise_steps(norm, x, plan).flatten().tolist() == pytest.approx([-1, 1])
    assert normalise_steps(norm, x[:1], plan).flatten().tolist() == pytest.approx(
        [1]
    )  # a batch of one has no statistics
    assert float(norm.running_mean) == 0


def test_batch_of_one_clip_is_refused_in_training():
    clip = {name: value[:1] for name, value in random_clip().items()}
    with pytest.raises(ZooError, match="batch_size=2"):
        tiny().training_step(clip, 0)


@pytest.mark.parametrize(
    ("backbone", "size", "channels", "encoder", "decoder"),
    [
        ("dcgan", 64, 1, 3_805_376, 6_558_529),
        ("dcgan", 128, 3, 8_003_264, 14_952_771),
        ("vgg", 64, 3, 8_689_600, 11_822_659),
        ("vgg", 128, 1, 15_770_944, 21_263_297),
    ],
)
def test_paper_has_the_published_number_of_parameters(backbone, size, channels, encoder, decoder):
    """Together with a bias before every batch norm, which the zoo leaves out."""
    spec = ClipSpec(("video",), frames=15, height=size, width=size, fps=10, channels=channels)
    with torch.device("meta"):
        model = SVG(SVGConfig(preset="paper", backbone=backbone, latent=24), spec)

    def count(*networks):
        biases = sum(
            layer.norm.num_features for n in networks for layer in n.modules() if isinstance(layer, NormedConvolution)
        )
        return biases + sum(p.numel() for network in networks for p in network.parameters())

    assert count(model.encoder) == encoder
    assert count(model.decoder, model.skip_projection) == decoder
    assert (count(model.predictor), count(model.posterior), count(model.prior)) == (1_124_736, 571_696, 571_696)


def test_too_short_clips_are_reported():
    assert "model.context=5" in SVGConfig().problems(replace(SPEC, frames=5))[0]
    assert SVGConfig().problems(SPEC) == []


# ---------------------------------------------------------------- sampling


def test_reconstruction_is_what_training_predicts():
    model = tiny().eval()
    clip = random_clip()
    noise = torch.zeros(B, T - 1, 4, dtype=torch.float64)
    made = model.sample(request(options={"reconstruct": True, "temperature": 0.0})).video
    errors = to_unit_range(made[:, 1:]) - to_unit_range(clip["video"][:, 1:])
    expected = model.loss_terms(clip, noise)["reconstruction"]
    assert torch.allclose(errors.square().mean((0, 2, 3, 4)), expected)
    rollout = model.sample(request(options={"reconstruct": "rollout"})).video
    assert torch.equal(rollout[:, :2], clip["video"][:, :2])
    assert not torch.allclose(rollout[:, 3:], made[:, 3:])


def test_mean_latents_are_the_same_in_every_draw():
    model = tiny().eval()
    cold = [model.sample(request(draw=draw, options={"temperature": 0.0})).video for draw in (0, 1)]
    warm = [model.sample(request(draw=draw)).video for draw in (0, 1)]
    assert torch.equal(*cold)
    assert not torch.equal(*warm)


def test_without_z_every_draw_is_the_same():
    model = tiny(prior="none").eval()
    assert model.deterministic
    assert torch.equal(model.sample(request()).video, model.sample(request(draw=1)).video)


@pytest.mark.parametrize("prior", ["learned", "none"])
def test_actions_steer_only_the_future(prior):
    model, clip = tiny(prior=prior).eval(), random_clip()
    steered = {**clip, "actions": clip["actions"].clone()}
    steered["actions"][:, 3:] = 5.0
    one, other = (model.sample(SampleRequest(T, each, 2)).video for each in (clip, steered))
    assert torch.equal(one[:, :4], other[:, :4])
    assert not torch.equal(one[:, 4], other[:, 4])  # entry 3 leads to frame 4
    assert tiny(uses_actions=False).action_count == 0


@pytest.mark.parametrize(("skips", "seen"), [("second_to_last", 1), ("last", 2)])
def test_skips_are_those_of_a_context_frame(skips, seen):
    """With three given frames, the skips come from frame 1, or frame 2: a large change of another one changes less."""
    model, taken = tiny(skips=skips).eval(), []
    model.skip_projection.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0][0]))
    clip = random_clip()
    model.sample(SampleRequest(T, clip, 3))
    _, expected = model.encoder(to_unit_range(clip["video"][:, seen : seen + 1]))
    assert torch.allclose(taken[-1], expected[0])


def test_missing_frame_is_reported():
    with pytest.raises(ZooError, match="only 6 frames are given"):
        tiny().eval().sample(request(frames=8, context=7))


def test_latents_of_a_clip():
    posterior, prior = tiny().eval().infer_latents(random_clip())
    assert posterior.mean.shape == prior.log_variance.shape == (B, T - 1, 4)
    assert float(tiny(prior="fixed").eval().infer_latents(random_clip())[1].log_variance.abs().sum()) == 0


# ---------------------------------------------------------------- released weights


@pytest.fixture
def released(monkeypatch):
    """Writes the state dicts of a record as a release does: whole modules of classes that exist only while writing."""
    record = torch.load(GOLDEN / "svg" / "lp_rollout_prior_eval.pt", weights_only=True)
    source = types.ModuleType("models.dcgan_64")
    parent = types.ModuleType("models")
    encoder = type("encoder", (nn.Module,), {"__module__": "models.dcgan_64"})
    source.encoder = encoder

    def module(state):
        root = encoder()
        for key, value in state.items():
            *path, name = key.split(".")
            node = root
            for part in path:
                if part not in node._modules:
                    node.add_module(part, encoder())
                node = node._modules[part]
            if value.is_floating_point() and "running" not in name:
                node.register_parameter(name, nn.Parameter(value.clone()))
            else:
                node.register_buffer(name, value.clone())
        return root

    def write(path, zipped):
        content = {name: module(state) for name, state in record["state_dict"].items()}
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "models", parent)
            patch.setitem(sys.modules, "models.dcgan_64", source)
            torch.save(content, path, _use_new_zipfile_serialization=zipped)
        return path

    return record, write


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_released_modules_are_converted(released, tmp_path, zipped):
    record, write = released
    file = write(tmp_path / "model.pth", zipped)
    states, _ = read_checkpoint(file)
    for network, state in record["state_dict"].items():
        assert states[network].keys() == state.keys()
        assert all(torch.equal(states[network][key], value) for key, value in state.items())
    convert("svg", file, tmp_path / "run", {})
    model = load(str(tmp_path / "run"))
    assert (model.config.prior, model.config.norm_statistics, model.spec.channels) == ("learned", "batch", 1)
    frame = record["x"][:, :1]
    model.encoder.eval()
    assert model.encoder(frame)[0].shape == (3, 1, record["options"]["g_dim"])


def test_legacy_file_is_cut_off(released, tmp_path):
    file = released[1](tmp_path / "model.pth", False)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ZooError, match="truncated"):
        read_checkpoint(file)


class RunsCode:
    """What a malicious pickle is made of."""

    def __reduce__(self):
        return (print, ("this must not run",))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_refused(tmp_path, capsys, zipped):
    file = tmp_path / "model.pth"
    torch.save({"encoder": RunsCode()}, file, pickle_module=pickle, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ZooError, match="run code"):
        read_checkpoint(file)
    assert "must not run" not in capsys.readouterr().out


def test_other_settings_are_refused(tmp_path):
    with pytest.raises(ZooError, match="label_count= does not apply"):
        SVG.convert(tmp_path, {"label_count": 3})
    with pytest.raises(ZooError, match="is not a file"):
        SVG.convert(tmp_path, {})
