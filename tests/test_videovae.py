"""VideoVAE: each equation against a plain reference, every way to generate, and what the settings do."""

import warnings
from dataclasses import replace

import pytest
import torch

from zoo.errors import ZooError
from zoo.losses.gaussian import kl_divergence
from zoo.model import build
from zoo.models.videovae.collapse import CollapseMonitor
from zoo.models.videovae.config import VideoVAEConfig
from zoo.models.videovae.control import Control
from zoo.models.videovae.networks import Dynamics
from zoo.testing import quiet_trainer, tiny_clip, tiny_data, train_on
from zoo.types import ClipSpec, SampleRequest

T, A = 6, 5
SPEC = tiny_data("videovae").spec()


def tiny(**settings):
    torch.manual_seed(0)
    model = {"name": "videovae", "width": 8, "code": 16, "hidden": 32, "features": 32, "units": 32}
    return build(model | settings, SPEC).eval()


def dynamics(**settings):
    torch.manual_seed(0)
    config = VideoVAEConfig(code=2, hidden=3, features=4, units=5, **settings)
    made = Dynamics(config, A)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, 0, 0.7)
    return made


def inputs(seed=1):
    torch.manual_seed(seed)
    attributes = torch.nn.functional.one_hot(torch.randint(A, (2, T)), A).float()
    return torch.randn(2, T, 4), attributes, torch.randn(2, T, 2)


# ---------------------------------------------------------------- Eq. 1 to 6


def head(parameters, name, x):
    """A hidden layer of ReLUs and two linear heads, from the weights alone."""
    hidden = (parameters[f"{name}.hidden.weight"] @ x + parameters[f"{name}.hidden.bias"]).clamp(min=0)
    out = parameters[f"{name}.out.weight"] @ hidden + parameters[f"{name}.out.bias"]
    return out[:2], out[2:]


def lstm(parameters, x, h, c):
    """Hochreiter and Schmidhuber's, gates in PyTorch's order: input, forget, candidate, output."""
    gates = parameters["cell.weight_ih"] @ x + parameters["cell.bias_ih"]
    gates = gates + parameters["cell.weight_hh"] @ h + parameters["cell.bias_hh"]
    i, f, g, o = gates.split(3)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def test_equations_against_a_plain_reference():
    module = dynamics()
    features, attributes, noise = inputs()
    course = module(features, attributes, noise)
    p = dict(module.named_parameters())
    for b in range(2):
        h = c = torch.zeros(3)
        for t in range(T):
            a = attributes[b, t]
            g = p["recall.2.weight"] @ (p["recall.0.weight"] @ h + p["recall.0.bias"]).clamp(min=0) + p["recall.2.bias"]
            mean_q, spread_q = head(p, "frame_posterior", features[b, t])  # Eq. 1
            spread_q = spread_q.clamp(-8, 8)
            mean_a, spread_a = head(p, "attribute_posterior", torch.cat([mean_q, spread_q, a]))  # Eq. 2
            mean_a, spread_a = mean_q + mean_a, (spread_q + spread_a).clamp(-8, 8)
            mean_d, spread_d = head(p, "dynamic_posterior", torch.cat([mean_a, spread_a, g]))  # Eq. 3
            mean_d, spread_d = mean_a + mean_d, (spread_a + spread_d).clamp(-8, 8)
            mean_p, spread_p = head(p, "prior_head", torch.cat([g, a]))  # Eq. 4
            z = mean_d + (spread_d / 2).exp() * noise[b, t]
            h, c = lstm(p, torch.cat([z, mean_q, spread_q]), h, c)  # Eq. 5
            assert torch.allclose(course.code[b, t], z, atol=1e-4)
            assert torch.allclose(course.posterior.mean[b, t], mean_d, atol=1e-4)
            assert torch.allclose(course.posterior.log_variance[b, t], spread_d, atol=1e-4)
            assert torch.allclose(course.prior.mean[b, t], mean_p, atol=1e-4)
            assert torch.allclose(course.prior.log_variance[b, t], spread_p.clamp(-8, 8), atol=1e-4)


def test_no_divergence_where_prior_and_posterior_coincide():
    module = dynamics()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    course = module(*inputs())
    assert kl_divergence(course.posterior, course.prior).abs().max() == 0


def test_attributes_shape_prior_and_posterior_but_not_the_frame_posterior():
    module = dynamics()
    features, attributes, noise = inputs()
    other = attributes.roll(1, -1)
    one, two = module(features, attributes, noise), module(features, other, noise)
    assert not torch.allclose(one.prior.mean, two.prior.mean)
    assert not torch.allclose(one.posterior.mean, two.posterior.mean)
    assert torch.equal(module.frame_posterior(features).mean, module.frame_posterior(features).mean)


def test_the_prior_of_a_frame_knows_only_what_came_before():
    """Another frame t changes the prior of t+1 on, and no earlier one; the posterior from t on."""
    module = dynamics()
    features, attributes, noise = inputs()
    changed = features.clone()
    changed[:, 3] += 1
    one, two = module(features, attributes, noise), module(changed, attributes, noise)
    assert torch.equal(one.prior.mean[:, :4], two.prior.mean[:, :4])
    assert not torch.allclose(one.prior.mean[:, 4], two.prior.mean[:, 4])
    assert torch.equal(one.posterior.mean[:, :3], two.posterior.mean[:, :3])
    assert not torch.allclose(one.posterior.mean[:, 3], two.posterior.mean[:, 3])


def test_the_ablations_do_what_they_say():
    features, attributes, noise = inputs()
    changed = features.clone()
    changed[:, 0] += 1
    blind = dynamics(prior_sees_past=False)
    one, two = (blind(each, attributes, noise) for each in (features, changed))
    assert torch.equal(one.prior.mean, two.prior.mean)
    assert not torch.allclose(one.posterior.mean[:, 1:], two.posterior.mean[:, 1:])  # the posterior still remembers
    forgetful = dynamics(recurrence=False)
    one, two = (forgetful(each, attributes, noise) for each in (features, changed))
    assert torch.equal(one.posterior.mean[:, 1:], two.posterior.mean[:, 1:])
    assert not any("cell" in name for name, _ in forgetful.named_parameters())


def test_loss_is_the_bound_and_the_attributes(tmp_path):
    """Eq. 6 from its parts: nats a frame, the divergence weighted by beta, which grows."""
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


def test_the_bound_alone_reaches_the_encoder(tmp_path):
    model, clip = tiny(classifier_weight=0.0).train(), tiny_clip("videovae")
    before = {name: value.clone() for name, value in model.encoder.named_parameters()}
    train_on(model, clip, 2, tmp_path)
    assert all(not torch.equal(before[name], value) for name, value in model.encoder.named_parameters())


def test_clips_without_labels_are_conditioned_on_what_is_inferred(tmp_path):
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
    assert torch.allclose(attributes.sum(-1), torch.full(attributes.shape[:2], 2.0))  # a distribution an attribute
    assert attributes.max() < 0.9
    assert not attributes.requires_grad
    assert features.requires_grad


# ---------------------------------------------------------------- generation


def generate(model, frames=T, context=0, seed=0, draw=0, given=None, **options):
    return model.sample(SampleRequest(frames, given, context, seed, draw, options)).video


ASKED = {"identity": "cleo", "action": "walk"}


def test_attributes_alone():
    video = generate(tiny(), attributes=ASKED)
    assert video.shape == (1, T, 3, 32, 32)
    assert not torch.allclose(video[:, 0], video[:, 1])


def test_another_attribute_another_video():
    model = tiny()
    walk, run = (generate(model, attributes={**ASKED, "action": action}) for action in ("walk", "run"))
    assert not torch.allclose(walk, run)


def test_a_transition_changes_nothing_before_it():
    model = tiny()
    steady = generate(model, attributes=ASKED)
    switched = generate(model, attributes={**ASKED, "action": "walk@0,run@3,walk@5"})
    assert torch.equal(steady[:, :3], switched[:, :3])
    assert not torch.allclose(steady[:, 3], switched[:, 3])


def test_draws_differ_and_repeat():
    model = tiny()
    first, second, again = (generate(model, draw=draw, attributes=ASKED) for draw in (0, 1, 0))
    assert torch.equal(first, again)
    assert not torch.allclose(first, second)


def test_temperature_zero_leaves_nothing_to_chance():
    model = tiny()
    cold = [generate(model, draw=draw, attributes=ASKED, temperature=0.0) for draw in (0, 1)]
    assert torch.equal(*cold)


def test_what_is_not_asked_is_drawn():
    """Over many draws with the action fixed, every identity comes up, and none much more than its share."""
    seen = []
    for draw in range(180):
        request = SampleRequest(1, draw=draw, options={"attributes": {"action": "walk"}})
        control = Control(request, ["sample/0"], SPEC.attributes, SPEC.constant, "videovae")
        ids = control.settled(0)
        assert ids["action"].tolist() == [0]
        assert control.settled(5)["identity"].equal(ids["identity"])  # once for all frames
        seen.append(int(ids["identity"]))
    counts = torch.bincount(torch.tensor(seen), minlength=9)
    assert counts.min() >= 8
    assert counts.max() <= 36


def test_labels_of_the_given_clip_count_unless_asked_otherwise():
    clip = tiny_clip("videovae")
    model = tiny()
    own = generate(model, context=1, given=clip)
    names = [SPEC.attributes["action"][int(i)] for i in clip["attributes"]["action"][:, 0]]
    same = generate(model, context=1, given={**clip, "key": clip["key"]}, attributes={"action": names[0]})
    assert torch.equal(own[0], same[0])
    assert not torch.allclose(own[1, 1:], same[1, 1:])


def test_attributes_are_inferred_from_what_is_given():
    """Constant ones from the mean of the frames, others from the last one; drawn by those odds, once."""
    request = SampleRequest(9, context=2, options={"attributes": {"identity": "inferred", "action": "inferred"}})
    control = Control(request, ["a", "b"], {"identity": ("x", "y"), "action": ("u", "v")}, ("identity",), "videovae")
    sure = torch.tensor([[40.0, 0.0], [0.0, 40.0]])
    control.hear({"identity": torch.tensor([1, 1]), "action": torch.tensor([1, 1])})
    assert control.at(0)["identity"].tolist() == [-1, -1]  # what is labelled is not looked at
    control.see({"identity": sure, "action": sure})
    so_far = control.see({"identity": torch.zeros(2, 2), "action": sure.flip(0)})
    assert torch.equal(so_far["identity"], sure / 2)
    assert torch.equal(so_far["action"], sure.flip(0))
    settled = control.settled(2)
    assert settled["identity"].tolist() == [0, 1]
    assert settled["action"].tolist() == [1, 0]


def test_inference_needs_a_frame():
    with pytest.raises(ZooError, match=r"attributes.action=inferred needs a frame to be inferred from. Try: context=1"):
        generate(tiny(), attributes={"action": "inferred"})


def test_context_is_shown_as_it_was_and_shapes_what_follows():
    model, clip = tiny(), tiny_clip("videovae")
    one, three = generate(model, context=1, given=clip), generate(model, context=3, given=clip)
    assert torch.equal(three[:, :3], clip["video"][:, :3])
    assert not torch.allclose(one[:, 3], three[:, 3])
    elsewhere = {**clip, "video": torch.cat([clip["video"][:, :3], -clip["video"][:, 3:]], 1)}
    assert torch.equal(generate(model, context=3, given=elsewhere), three)  # no more than the context is seen


def test_the_first_frame_of_a_reconstruction_is_what_its_code_keeps():
    """Setting 2 with one frame equals reconstruction: decoded from the posterior of that frame, with the same noise."""
    model, clip = tiny(), tiny_clip("videovae")
    video = generate(model, frames=4, given=clip, reconstruct=True, temperature=0.0)
    with torch.no_grad():
        features = model.encode(clip["video"][:, :1])
        attributes = model._vector(
            model.heads(features), {**clip, "attributes": {k: v[:, :1] for k, v in clip["attributes"].items()}}
        )
        course = model.dynamics(features, attributes, torch.zeros(2, 1, 16))
        expected = model.decode(course.code, attributes)
    assert torch.allclose(video[:, :1], expected, atol=1e-5)
    assert not torch.allclose(video[:, 0], clip["video"][:, 0])


def test_training_and_reconstruction_are_one_computation():
    """The loop that streams and the loop that trains give the same frames, over the whole clip."""
    model, clip = tiny(), tiny_clip("videovae")
    video = generate(model, frames=8, given=clip, reconstruct=True, temperature=0.0)
    with torch.no_grad():
        features = model.encode(clip["video"])
        attributes = model._vector(model.heads(features), clip)
        expected = model.decode(model.dynamics(features, attributes, torch.zeros(2, 8, 16)).code, attributes)
    assert torch.allclose(video, expected, atol=1e-5)


def test_every_generated_frame_is_encoded_again():
    """The encoder is shown exactly what was yielded, in the range that it was trained on."""
    model = tiny()
    shown = []
    model.encoder.register_forward_hook(lambda module, arguments, out: shown.append(arguments[0]))
    video = generate(model, attributes=ASKED)
    assert torch.equal(torch.stack(shown, 1), video)


def test_a_clip_is_sampled_by_itself_as_in_a_batch():
    model, clip = tiny(), tiny_clip("videovae")
    alone = {
        **clip, "video": clip["video"][1:], "key": clip["key"][1:],
        "attributes": {name: ids[1:] for name, ids in clip["attributes"].items()},
    }  # fmt: skip
    together = generate(model, context=1, given=clip)
    assert torch.allclose(together[1:], generate(model, context=1, given=alone), atol=1e-5)


def test_the_given_may_come_in_pieces():
    model, clip = tiny(), tiny_clip("videovae")

    def piece(first, last):
        cut = {name: ids[:, first:last] for name, ids in clip["attributes"].items()}
        return {**clip, "video": clip["video"][:, first:last], "attributes": cut}

    whole = generate(model, context=3, given=clip)
    assert torch.equal(generate(model, context=3, given=iter([piece(0, 2), piece(2, 8)])), whole)


def test_fewer_frames_than_the_context_are_told():
    with pytest.raises(ZooError, match=r"Frame 8 should be given, but there are 8 frames. Try: context=8"):
        generate(tiny(), frames=12, context=10, given=tiny_clip("videovae"))


def test_attributes_beside_the_code_are_seen_by_the_decoder_alone():
    model = tiny(attributes="decoder")
    walk, run = (
        generate(model, frames=1, attributes={**ASKED, "action": action}, temperature=0.0) for action in ("walk", "run")
    )
    assert not torch.allclose(walk, run)
    assert model.dynamics.prior_head.hidden.in_features == 32


def test_without_attributes():
    spec = replace(SPEC, fields=("video",))
    for model in (tiny(attributes="none"), build({"name": "videovae", "width": 8}, spec).eval()):
        assert generate(model).shape == (1, T, 3, 32, 32)
        with pytest.raises(ZooError, match="It was trained without any"):
            generate(model, attributes=ASKED)


# ---------------------------------------------------------------- presets, collapse, mistakes


def test_the_paper_preset_has_the_published_parameters():
    """9.19 M: encoder, decoder, LSTM, posteriors with prior, and the heads of ten actions and nine identities."""
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


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 128), (64, 128), (32, 48)])
def test_sizes_of_the_default_preset(height, width):
    model = build({"name": "videovae", "width": 4, "code": 8}, replace(SPEC, height=height, width=width)).eval()
    video = generate(model, frames=2)
    assert video.shape == (1, 2, 3, height, width)
    assert model.encode(video).shape == (1, 2, 256)


def test_sizes_that_do_not_fit_are_told():
    assert VideoVAEConfig().problems(SPEC) == []
    assert "cannot be" in VideoVAEConfig().problems(replace(SPEC, height=60, width=50))[0]
    wrong = VideoVAEConfig(preset="paper").problems(replace(SPEC, height=128, width=128))
    assert "model.preset=paper is for 64x64 pixels; clips are 128x128" in wrong[0]


@pytest.mark.parametrize(
    "settings",
    [{"scale": 0.0}, {"min_log_variance": 9.0}, {"beta_warmup": 1.5}, {"likelihood": "l2"}, {"preset": "vgg"}],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ZooError, match=rf"model.{next(iter(settings))}="):
        VideoVAEConfig(**settings)


def test_collapse_is_noticed():
    monitor = CollapseMonitor()
    monitor.update(torch.tensor([[[0.2, 0.004]], [[0.0, 0.004]]]))  # two clips, one frame: 0.1 and 0.004 nats
    assert monitor.active == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.report()
    monitor.update(torch.full((2, 3, 4), 0.002))
    with pytest.warns(UserWarning, match="0.008 nats a frame, and 0 of 4 dimensions are in use"):
        monitor.report()


def test_divergence_of_each_frame_is_logged(tmp_path):
    model, clip = tiny().train(), tiny_clip("videovae")
    runner = train_on(model, clip, 2, tmp_path, log_every_n_steps=1)
    logged = runner.callback_metrics
    frames = [float(logged[f"train/kl/frame{t:02d}"]) for t in range(8)]
    assert sum(frames) / 8 == pytest.approx(float(logged["train/loss/kl"]), rel=1e-4)
    assert 0 <= float(logged["train/active_dimensions"]) <= 16


def test_training_noise_belongs_to_the_place_of_a_clip():
    """Two processes with half the batch draw what one draws with the whole."""
    model = tiny()
    model.trainer = quiet_trainer(".")
    video = torch.zeros(4, 3, 3, 2, 2)
    model.clips_seen, model.step_clips = 12, 4
    whole = model._training_noise(video)

    class Rank:
        world_size = 2

    for rank in (0, 1):
        other = tiny()
        other.__class__ = type("Ranked", (type(other),), {"global_rank": rank, "trainer": Rank()})
        other.clips_seen, other.step_clips = 12, 4
        assert torch.equal(other._training_noise(video[:2]), whole[rank::2])
    assert whole.std() == pytest.approx(1, abs=0.15)
