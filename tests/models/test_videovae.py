"""VideoVAE: equations against plain references, losses, training, presets, collapse and settings."""

import math
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.helpers.videovae import ATTRIBUTES, SPEC, T, generate, moving_clip, one_hot_attributes, tiny
from zoo.blocks import dcgan
from zoo.errors import ZooError
from zoo.losses.gaussian import kl_divergence
from zoo.model import build
from zoo.models.videovae.collapse import CollapseMonitor
from zoo.models.videovae.config import VideoVAEConfig
from zoo.models.videovae.networks import Dynamics
from zoo.testing import quiet_trainer, tiny_clip, train_on
from zoo.types import ClipSpec

A = 5


def dynamics(**settings):
    torch.manual_seed(0)
    config = VideoVAEConfig(code=2, hidden=3, features=4, units=5, **settings)
    module = Dynamics(config, A)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0, 0.7)
    return module


def inputs(seed=1):
    torch.manual_seed(seed)
    attributes = torch.nn.functional.one_hot(torch.randint(A, (2, T)), A).float()
    return torch.randn(2, T, 4), attributes, torch.randn(2, T, 2)


# ---------------------------------------------------------------- Eq. 1 to 6


def head(parameters, name, x):
    """A hidden layer with ReLU and two linear outputs, from the parameters."""
    hidden = (parameters[f"{name}.hidden.weight"] @ x + parameters[f"{name}.hidden.bias"]).clamp(min=0)
    out = parameters[f"{name}.out.weight"] @ hidden + parameters[f"{name}.out.bias"]
    return out[:2], out[2:]


def lstm(parameters, x, h, c):
    """An LSTM cell with gates in PyTorch's order: input, forget, candidate, output."""
    gates = parameters["cell.weight_ih"] @ x + parameters["cell.bias_ih"]
    gates = gates + parameters["cell.weight_hh"] @ h + parameters["cell.bias_hh"]
    i, f, g, o = gates.split(3)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def test_equations_1_to_5_equal_a_plain_reference():
    module = dynamics()
    features, attributes, noise = inputs()
    rollout = module(features, attributes, noise)
    p = dict(module.named_parameters())
    for b in range(2):
        h = c = torch.zeros(3)
        for t in range(T):
            a = attributes[b, t]
            g = p["memory_network.2.weight"] @ (p["memory_network.0.weight"] @ h + p["memory_network.0.bias"]).clamp(
                min=0
            )
            g = g + p["memory_network.2.bias"]
            mean_q, spread_q = head(p, "frame_posterior", features[b, t])  # Eq. 1
            spread_q = spread_q.clamp(-8, 8)
            mean_a, spread_a = head(p, "attribute_posterior", torch.cat([mean_q, spread_q, a]))  # Eq. 2
            mean_a, spread_a = mean_q + mean_a, (spread_q + spread_a).clamp(-8, 8)
            mean_d, spread_d = head(p, "dynamic_posterior", torch.cat([mean_a, spread_a, g]))  # Eq. 3
            mean_d, spread_d = mean_a + mean_d, (spread_a + spread_d).clamp(-8, 8)
            mean_p, spread_p = head(p, "prior_head", torch.cat([g, a]))  # Eq. 4
            z = mean_d + (spread_d / 2).exp() * noise[b, t]
            h, c = lstm(p, torch.cat([z, mean_q, spread_q]), h, c)  # Eq. 5
            assert torch.allclose(rollout.code[b, t], z, atol=1e-4)
            assert torch.allclose(rollout.posterior.mean[b, t], mean_d, atol=1e-4)
            assert torch.allclose(rollout.posterior.log_variance[b, t], spread_d, atol=1e-4)
            assert torch.allclose(rollout.prior.mean[b, t], mean_p, atol=1e-4)
            assert torch.allclose(rollout.prior.log_variance[b, t], spread_p.clamp(-8, 8), atol=1e-4)


def test_divergence_is_zero_if_prior_and_posterior_coincide():
    module = dynamics()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    rollout = module(*inputs())
    assert kl_divergence(rollout.posterior, rollout.prior).abs().max() == 0


def test_attributes_influence_prior_and_posterior_but_not_the_frame_posterior():
    module = dynamics()
    features, attributes, noise = inputs()
    other = attributes.roll(1, -1)
    one, two = module(features, attributes, noise), module(features, other, noise)
    assert not torch.allclose(one.prior.mean, two.prior.mean)
    assert not torch.allclose(one.posterior.mean, two.posterior.mean)
    assert module.frame_posterior.hidden.in_features == features.shape[-1]  # it has no input for attributes


def test_prior_of_a_frame_depends_only_on_earlier_frames():
    """Changing frame t changes the prior from t+1 on, and the posterior from t on."""
    module = dynamics()
    features, attributes, noise = inputs()
    changed = features.clone()
    changed[:, 3] += 1
    one, two = module(features, attributes, noise), module(changed, attributes, noise)
    assert torch.equal(one.prior.mean[:, :4], two.prior.mean[:, :4])
    assert not torch.allclose(one.prior.mean[:, 4], two.prior.mean[:, 4])
    assert torch.equal(one.posterior.mean[:, :3], two.posterior.mean[:, :3])
    assert not torch.allclose(one.posterior.mean[:, 3], two.posterior.mean[:, 3])


def test_ablations_remove_the_past_from_prior_and_posterior():
    features, attributes, noise = inputs()
    changed = features.clone()
    changed[:, 0] += 1
    blind = dynamics(prior_sees_past=False)
    one, two = (blind(each, attributes, noise) for each in (features, changed))
    assert torch.equal(one.prior.mean, two.prior.mean)
    assert not torch.allclose(
        one.posterior.mean[:, 1:], two.posterior.mean[:, 1:]
    )  # the posterior still depends on the past
    forgetful = dynamics(recurrence=False)
    one, two = (forgetful(each, attributes, noise) for each in (features, changed))
    assert torch.equal(one.posterior.mean[:, 1:], two.posterior.mean[:, 1:])
    assert not any("cell" in name for name, _ in forgetful.named_parameters())


def test_loss_is_the_bound_plus_the_attribute_loss(tmp_path):
    """Eq. 6 from its logged terms, with a weight of the divergence that grows during warm-up."""
    model, clip = tiny(beta=2.0, beta_warmup=0.5, classifier_weight=3.0, free_bits=0.0), tiny_clip("videovae")
    seen = []
    step = model.training_step

    def record(batch, batch_idx):
        loss = step(batch, batch_idx)
        parts = {name: value.item() for name, value in model.losses.items()}
        seen.append((loss.item(), parts, model.progress))
        return loss

    model.training_step = record
    train_on(model.train(), clip, 4, tmp_path)
    assert [progress for *_, progress in seen] == [0, 0.25, 0.5, 0.75]
    for (loss, parts, _), beta in zip(seen, (0, 1, 2, 2), strict=True):
        expected = parts["reconstruction"] + beta * parts["kl"] + 3 * parts["attributes"]
        assert loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("attributes", ["structured", "decoder"])
def test_loss_terms_equal_torch_distributions(attributes):
    """Eq. 6 computed from the networks with torch.distributions."""
    model, clip = tiny(attributes=attributes), moving_clip()
    b, t = clip["video"].shape[:2]
    noise = torch.randn(b, t, 16, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        losses, divergence = model.loss_terms(clip, noise)
        features = model.encoder(clip["video"].flatten(0, 1)).view(b, t, -1)
        vector = one_hot_attributes(clip)
        rollout = model.dynamics(features, vector if attributes == "structured" else vector[..., :0], noise)
        decoder_input = torch.cat([rollout.code, vector], -1) if attributes == "decoder" else rollout.code
        means = model.decoder(decoder_input.flatten(0, 1)).view(clip["video"].shape)
        q, p = (
            torch.distributions.Normal(g.mean, (g.log_variance / 2).exp()) for g in (rollout.posterior, rollout.prior)
        )
        expected = torch.distributions.kl_divergence(q, p)
        assert torch.allclose(divergence, expected, atol=1e-4)
        assert losses["kl"].item() == pytest.approx(expected.sum().item() / (b * t), rel=1e-4)
        pixels = torch.distributions.Normal(means, 0.3).log_prob(clip["video"])
        assert losses["reconstruction"].item() == pytest.approx(-pixels.sum().item() / (b * t), rel=1e-4)
        identity, action = (model.heads(features)[name] for name in ("identity", "action"))
        logits = [
            identity.mean(1, keepdim=True).expand_as(identity),
            action,
        ]  # the identity is constant: its logits are averaged over the clip
        labels = [clip["attributes"][name] for name in ("identity", "action")]
        log_probabilities = [
            torch.distributions.Categorical(logits=row).log_prob(ids).mean()
            for row, ids in zip(logits, labels, strict=True)
        ]
        assert losses["attributes"].item() == pytest.approx(-sum(log_probabilities).item(), rel=1e-4)


def test_training_noise_has_unit_variance_and_differs_between_steps_and_seeds(tmp_path):
    seen = []
    for seed in (1, 2):
        model, clip = tiny().train(), tiny_clip("videovae")
        model.seed = seed
        forward = model.dynamics.forward
        model.dynamics.forward = lambda f, a, noise, forward=forward: seen.append(noise) or forward(f, a, noise)
        train_on(model, clip, 2, tmp_path)
    assert len(seen) == 4
    for i, noise in enumerate(seen):
        assert noise.std() == pytest.approx(1, abs=0.15)
        assert not any(torch.equal(noise, other) for other in seen[:i])


def test_learning_rate_is_annealed_along_half_a_cosine(tmp_path):
    model, clip = tiny(lr=1e-2).train(), tiny_clip("videovae")
    rates = []
    model.on_before_optimizer_step = lambda optimizer: rates.append(optimizer.param_groups[0]["lr"])
    train_on(model, clip, 4, tmp_path)
    # 1, (1 + 1/√2) / 2, 1/2, (1 - 1/√2) / 2
    assert rates == pytest.approx([1e-2, 0.853553e-2, 0.5e-2, 0.146447e-2], rel=1e-4)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_to_the_largest_norm(precision, tmp_path):
    model, clip = tiny(max_gradient=0.5).train(), tiny_clip("videovae")
    norms = []

    def note(module, optimizer):
        norms.append(torch.stack([p.grad.norm() for p in module.parameters()]).norm().item())

    model.on_before_optimizer_step = lambda optimizer: note(model, optimizer)
    clip_gradients = model.configure_gradient_clipping
    after = []

    def clip_and_note(*arguments, **named):
        clip_gradients(*arguments, **named)
        after.append(torch.stack([p.grad.norm() for p in model.parameters()]).norm().item())

    model.configure_gradient_clipping = clip_and_note
    train_on(model, clip, 1, tmp_path, precision=precision)
    assert model.optimizers().defaults["fused"]
    assert norms[0] > 1
    assert after[0] == pytest.approx(0.5, rel=1e-3)


def test_gradient_of_the_bound_reaches_the_encoder(tmp_path):
    model, clip = tiny(classifier_weight=0.0).train(), tiny_clip("videovae")
    before = {name: value.clone() for name, value in model.encoder.named_parameters()}
    train_on(model, clip, 2, tmp_path)
    assert all(not torch.equal(before[name], value) for name, value in model.encoder.named_parameters())


def test_clips_without_labels_are_conditioned_on_inferred_attributes(tmp_path):
    model, clip = tiny().train(), tiny_clip("videovae")
    unknown = {name: torch.full_like(ids, -1) for name, ids in clip["attributes"].items()}
    seen = []
    forward = model.dynamics.forward
    model.dynamics.forward = lambda features, attributes, noise: (
        seen.append((features, attributes)) or forward(features, attributes, noise)
    )
    train_on(model, {**clip, "attributes": unknown}, 1, tmp_path)
    assert model.losses["attributes"] == 0
    features, attributes = seen[0]
    assert torch.allclose(attributes.sum(-1), torch.full(attributes.shape[:2], 2.0))  # one distribution per attribute
    assert attributes.max() < 0.9
    assert not attributes.requires_grad
    assert features.requires_grad


# ---------------------------------------------------------------- presets, settings, collapse


def test_paper_preset_has_the_published_number_of_parameters():
    """9.19 M for frames of 64 x 64, with heads for ten actions and nine identities."""
    spec = ClipSpec(
        ("video", "attributes"), 10, 64, 64, 25.0, attributes=SPEC.attributes, constant=("identity", "action")
    )
    model = build({"name": "videovae", "preset": "paper"}, spec)

    def count(part):
        return sum(parameter.numel() for parameter in part.parameters())

    assert count(model.encoder) == 1_897_874
    assert count(model.decoder) == 1_898_552
    assert count(model.dynamics.cell) == 4_198_400
    assert count(model.dynamics) - count(model.dynamics.cell) == 1_124_224
    assert count(model.heads) == 68_115
    assert count(model) == 9_187_165
    assert generate(model.eval(), frames=2, attributes=ATTRIBUTES).shape == (1, 2, 3, 64, 64)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 128), (64, 128), (32, 48)])
def test_default_preset_supports_several_frame_sizes(height, width):
    model = build({"name": "videovae", "width": 4, "code": 8}, replace(SPEC, height=height, width=width)).eval()
    video = generate(model, frames=2)
    assert video.shape == (1, 2, 3, height, width)
    assert model.encode_frames(video).shape == (1, 2, 256)


def test_unsupported_frame_sizes_are_reported():
    assert VideoVAEConfig().problems(SPEC) == []
    assert "cannot be halved" in VideoVAEConfig().problems(replace(SPEC, height=60, width=50))[0]
    wrong = VideoVAEConfig(preset="paper").problems(replace(SPEC, height=128, width=128))
    assert "model.preset=paper, is for 64x64 pixels, but clips are 128x128" in wrong[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"code": 0},
        {"beta": -1.0},
        {"scale": 0.0},
        {"min_log_variance": 9.0},
        {"beta_warmup": 1.5},
        {"likelihood": "l2"},
        {"preset": "vgg"},
    ],
)
def test_invalid_settings_are_rejected(settings):
    with pytest.raises(ZooError, match=rf"model.{next(iter(settings))}="):
        VideoVAEConfig(**settings)


def test_posterior_collapse_is_reported():
    monitor = CollapseMonitor()
    monitor.update(
        torch.tensor([[[0.2, 0.004]], [[0.0, 0.004]]])
    )  # two clips of one frame: 0.1 and 0.004 nats on average
    assert monitor.active == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.report()
    monitor = CollapseMonitor()
    for nats in [60.0] * 100 + [0.002] * 200:  # the divergence vanishes when beta grows
        monitor.update(torch.full((2, 3, 4), nats))
    with pytest.warns(UserWarning, match="0.008 nats per frame, and 0 of 4 dimensions are active"):
        monitor.report()


def test_divergence_of_each_frame_is_logged(tmp_path):
    model, clip = tiny().train(), tiny_clip("videovae")
    runner = train_on(model, clip, 2, tmp_path, log_every_n_steps=1)
    logged = runner.callback_metrics
    frames = [float(logged[f"train/kl/frame{t:02d}"]) for t in range(8)]
    assert sum(frames) / 8 == pytest.approx(float(logged["train/loss/kl"]), rel=1e-4)
    assert 0 <= float(logged["train/active_dimensions"]) <= 16


def test_training_noise_depends_on_the_index_of_a_clip_and_not_on_the_rank():
    """Two ranks with half of the batch each draw the same noise as one process with the whole batch."""
    model = tiny()
    model.trainer = quiet_trainer(".")
    video = torch.zeros(4, 3, 3, 2, 2)
    model.clips_seen, model.step_clips = 12, 4
    whole = model._training_noise({"video": video})

    class Rank:
        world_size = 2

    for rank in (0, 1):
        other = tiny()
        other.__class__ = type("Ranked", (type(other),), {"global_rank": rank, "trainer": Rank()})
        other.clips_seen, other.step_clips = 12, 4
        assert torch.equal(other._training_noise({"video": video[:2]}), whole[rank::2])
    assert whole.std() == pytest.approx(1, abs=0.15)


def test_colour_field_is_a_smooth_image_that_the_code_sets():
    """With the convolutions at zero, a frame is tanh of 4 x 4 colours, enlarged bilinearly."""
    decoder = dcgan.Decoder(32, 32, 4, 5, colour_field=True)
    for layer in decoder.layers:
        if isinstance(layer, nn.ConvTranspose2d):
            nn.init.zeros_(layer.weight)
    code = torch.tensor([[1.0, 0, 0, 0, 0]])
    assert torch.allclose(decoder(code), torch.tensor(dcgan.FIELD_BIAS).tanh().expand(1, 3, 32, 32))
    with torch.no_grad():
        decoder.field.colours.weight.view(3, 4, 4, 5)[0, 0, 0, 0] = 0.5  # red of the upper left corner
    frame = decoder(code)
    assert frame[0, 0, 0, 0].item() == pytest.approx(math.tanh(1.3))
    assert frame[0, 0, 0, 8].item() == pytest.approx(
        math.tanh(dcgan.FIELD_BIAS + 0.5 * 0.4375)
    )  # (8.5 - 4) / 8 = 0.5625
    assert torch.allclose(frame[0, 1:], torch.tensor(dcgan.FIELD_BIAS).tanh())
    assert frame[0, 0, 12:, :].sub(math.tanh(dcgan.FIELD_BIAS)).abs().max() < 1e-6


def test_colour_field_is_a_setting():
    assert tiny(colour_field=False).decoder.field is None
    assert tiny(colour_field=True).decoder.field is not None
