"""Sampling from VideoVAE: attributes, context, reconstruction, and what a frame depends on."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.videovae import ATTRIBUTES, SPEC, T, generate, moving_clip, one_hot_attributes, tiny
from zoo.blocks.noise import sample_noise
from zoo.errors import ZooError
from zoo.model import build
from zoo.models.videovae.control import AttributeControl
from zoo.testing import tiny_clip
from zoo.types import SampleRequest


def test_generates_from_attributes_alone():
    video = generate(tiny(), attributes=ATTRIBUTES)
    assert video.shape == (1, T, 3, 32, 32)
    assert not torch.allclose(video[:, 0], video[:, 1])


def test_other_attributes_give_another_video():
    model = tiny()
    walk, run = (generate(model, attributes={**ATTRIBUTES, "action": action}) for action in ("walk", "run"))
    assert not torch.allclose(walk, run)


def test_a_transition_changes_no_frame_before_it():
    model = tiny()
    constant = generate(model, attributes=ATTRIBUTES)
    switched = generate(model, attributes={**ATTRIBUTES, "action": "walk@0,run@3,walk@5"})
    assert torch.equal(constant[:, :3], switched[:, :3])
    assert not torch.allclose(constant[:, 3], switched[:, 3])


def test_draws_differ_and_are_reproducible():
    model = tiny()
    first, second, again = (generate(model, draw=draw, attributes=ATTRIBUTES) for draw in (0, 1, 0))
    assert torch.equal(first, again)
    assert not torch.allclose(first, second)


def test_temperature_zero_is_deterministic():
    model = tiny()
    cold = [generate(model, draw=draw, attributes=ATTRIBUTES, temperature=0.0) for draw in (0, 1)]
    assert torch.equal(*cold)


def test_attributes_that_are_not_given_are_drawn_uniformly():
    """With a fixed action, every identity is drawn, about equally often."""
    seen = []
    for draw in range(180):
        request = SampleRequest(1, draw=draw, options={"attributes": {"action": "walk"}})
        control = AttributeControl(request, ["sample/0"], SPEC.attributes, SPEC.constant, "videovae")
        ids = control.resolve(0)
        assert ids["action"].tolist() == [0]
        assert control.resolve(5)["identity"].equal(ids["identity"])  # one draw for all frames
        seen.append(int(ids["identity"]))
    counts = torch.bincount(torch.tensor(seen), minlength=9)
    assert counts.min() >= 8
    assert counts.max() <= 36


def test_labels_of_the_given_clip_are_used_unless_overridden():
    clip = tiny_clip("videovae")
    model = tiny()
    own = generate(model, context=1, given=clip)
    names = [SPEC.attributes["action"][int(i)] for i in clip["attributes"]["action"][:, 0]]
    same = generate(model, context=1, given={**clip, "key": clip["key"]}, attributes={"action": names[0]})
    assert torch.equal(own[0], same[0])
    assert not torch.allclose(own[1, 1:], same[1, 1:])


def test_attributes_are_inferred_from_given_frames():
    """The likeliest value by the mean logits for constant attributes, by those of the last frame for others."""
    request = SampleRequest(9, context=2, options={"attributes": {"identity": "inferred", "action": "inferred"}})
    control = AttributeControl(
        request, ["a", "b"], {"identity": ("x", "y"), "action": ("u", "v")}, ("identity",), "videovae"
    )
    logits = torch.tensor([[0.4, 0.0], [0.0, 0.4]])
    control.observe_labels({"identity": torch.tensor([1, 1]), "action": torch.tensor([1, 1])})
    assert control.known_at(0)["identity"].tolist() == [-1, -1]  # labels are ignored
    control.observe_logits({"identity": logits, "action": logits})
    so_far = control.observe_logits({"identity": torch.zeros(2, 2), "action": logits.flip(0)})
    assert torch.equal(so_far["identity"], logits / 2)
    assert torch.equal(so_far["action"], logits.flip(0))
    resolved = control.resolve(2)
    assert resolved["identity"].tolist() == [0, 1]
    assert resolved["action"].tolist() == [1, 0]


def test_inferred_attributes_need_a_given_frame():
    with pytest.raises(ZooError, match=r"attributes.action=inferred needs a frame to be inferred from. Try: context=1"):
        generate(tiny(), attributes={"action": "inferred"})


def test_context_frames_are_unchanged_and_influence_later_frames():
    model, clip = tiny(), tiny_clip("videovae")
    one, three = generate(model, context=1, given=clip), generate(model, context=3, given=clip)
    assert torch.equal(three[:, :3], clip["video"][:, :3])
    assert not torch.allclose(one[:, 3], three[:, 3])
    changed = {**clip, "video": torch.cat([clip["video"][:, :3], -clip["video"][:, 3:]], 1)}
    assert torch.equal(generate(model, context=3, given=changed), three)  # frames after the context are ignored


def test_first_reconstructed_frame_is_decoded_from_its_posterior():
    model, clip = tiny(), tiny_clip("videovae")
    video = generate(model, frames=4, given=clip, reconstruct=True, temperature=0.0)
    with torch.no_grad():
        features = model.encode_frames(clip["video"][:, :1])
        attributes = one_hot_attributes(clip)[:, :1]
        rollout = model.dynamics(features, attributes, torch.zeros(2, 1, 16))
        expected = model.decode_frames(rollout.code, attributes)
    assert torch.allclose(video[:, :1], expected, atol=1e-5)
    assert not torch.allclose(video[:, 0], clip["video"][:, 0])


def test_training_and_reconstruction_give_the_same_frames():
    """The loop of ``stream`` and that of training implement the same recurrence."""
    model, clip = tiny(), tiny_clip("videovae")
    video = generate(model, frames=8, given=clip, reconstruct=True, temperature=0.0)
    with torch.no_grad():
        features = model.encode_frames(clip["video"])
        attributes = model._attribute_vector(model.heads(features), clip)
        expected = model.decode_frames(model.dynamics(features, attributes, torch.zeros(2, 8, 16)).code, attributes)
    assert torch.allclose(video, expected, atol=1e-5)


def test_generated_frames_equal_a_plain_reference():
    """Step by step: prior, code, frame, frame posterior, LSTM, with attributes that change."""
    model, clip = tiny(), moving_clip()
    request = SampleRequest(T, clip, seed=3, draw=2)
    video = model.sample(request).video
    part, vector = model.dynamics, one_hot_attributes(clip)
    with torch.no_grad():
        h = c = torch.zeros(2, 32)
        for t in range(T):
            memory = part.memory_network(h)
            mean, spread = part.prior_head(torch.cat([memory, vector[:, t]], -1))
            code = mean + (spread / 2).exp() * sample_noise(request, clip["key"], (16,), t)
            frame = model.decoder(code)
            posterior = part.frame_posterior(model.encoder(frame))
            h, c = part.cell(torch.cat([code, posterior.mean, posterior.log_variance], -1), (h, c))
            assert torch.allclose(video[:, t], frame, atol=1e-5)


def test_codes_of_given_frames_are_sampled():
    """Reconstruction at temperature 1 equals the computation of training with the noise of the sample."""
    model, clip = tiny(), moving_clip()
    request = SampleRequest(T, clip, options={"reconstruct": True})
    noise = torch.stack([sample_noise(request, clip["key"], (16,), t) for t in range(T)], 1)
    with torch.no_grad():
        rollout = model.dynamics(model.encode_frames(clip["video"][:, :T]), one_hot_attributes(clip)[:, :T], noise)
        expected = model.decode_frames(rollout.code, one_hot_attributes(clip)[:, :T])
    assert torch.allclose(model.sample(request).video, expected, atol=1e-5)


def test_noise_differs_between_frames_clips_draws_and_seeds():
    request = SampleRequest(2)
    drawn = [
        *sample_noise(request, ["a", "b"], (8,), 0),
        *sample_noise(request, ["a"], (8,), 1),
        *sample_noise(replace(request, draw=1), ["a"], (8,), 0),
        *sample_noise(replace(request, seed=1), ["a"], (8,), 0),
    ]
    assert len({tuple(row.tolist()) for row in drawn}) == 5
    assert torch.equal(sample_noise(request, ["b", "a"], (8,), 0)[1], drawn[0])


def test_last_label_holds_after_the_end_of_the_given_clip():
    model, clip = tiny(), moving_clip()
    seen = []
    row = model._frame_attributes
    model._frame_attributes = lambda control, ids, logits=None: seen.append(ids) or row(control, ids, logits)
    generate(model, frames=11, context=1, given=clip)
    actions = torch.stack([ids["action"] for ids in seen], 1)
    assert torch.equal(actions[:, :8], clip["attributes"]["action"])
    assert (actions[:, 8:] == 4).all()
    assert all(torch.equal(ids["identity"], clip["attributes"]["identity"][:, 0]) for ids in seen)


def test_free_attributes_are_drawn_even_if_the_given_clip_is_labelled():
    clip = tiny_clip("videovae")
    seen = set()
    for draw in range(40):
        request = SampleRequest(2, clip, context=1, draw=draw, options={"attributes": {"action": "free"}})
        control = AttributeControl(request, ["a"], SPEC.attributes, SPEC.constant, "videovae")
        control.observe_labels({name: ids[:1, 0] for name, ids in clip["attributes"].items()})
        control.observe_logits({name: torch.zeros(1, len(values)) for name, values in SPEC.attributes.items()})
        assert control.resolve(1)["identity"].equal(clip["attributes"]["identity"][:1, 0])
        seen.add(int(control.resolve(1)["action"]))
    assert len(seen) >= 8


def test_every_generated_frame_is_encoded_again():
    """The inputs of the encoder are the yielded frames."""
    model = tiny()
    encoded = []
    model.encoder.register_forward_hook(lambda module, arguments, out: encoded.append(arguments[0]))
    video = generate(model, attributes=ATTRIBUTES)
    assert torch.equal(torch.stack(encoded, 1), video)


def test_sample_of_a_clip_does_not_depend_on_its_batch():
    model, clip = tiny(), tiny_clip("videovae")
    alone = {
        **clip, "video": clip["video"][1:], "key": clip["key"][1:],
        "attributes": {name: ids[1:] for name, ids in clip["attributes"].items()},
    }  # fmt: skip
    together = generate(model, context=1, given=clip)
    assert torch.allclose(together[1:], generate(model, context=1, given=alone), atol=1e-5)


def test_sampling_from_pieces_equals_sampling_from_a_whole_clip():
    model, clip = tiny(), tiny_clip("videovae")

    def piece(first, last):
        cut = {name: ids[:, first:last] for name, ids in clip["attributes"].items()}
        return {**clip, "video": clip["video"][:, first:last], "attributes": cut}

    whole = generate(model, context=3, given=clip)
    assert torch.equal(generate(model, context=3, given=iter([piece(0, 2), piece(2, 8)])), whole)


def test_missing_context_frames_are_reported():
    with pytest.raises(ZooError, match=r"Frame 8 is missing: only 8 frames are given. Try: context=8"):
        generate(tiny(), frames=12, context=10, given=tiny_clip("videovae"))


def test_attributes_of_the_decoder_do_not_influence_the_prior():
    model = tiny(attributes="decoder")
    walk, run = (
        generate(model, frames=1, attributes={**ATTRIBUTES, "action": action}, temperature=0.0)
        for action in ("walk", "run")
    )
    assert not torch.allclose(walk, run)
    assert model.dynamics.prior_head.hidden.in_features == 32


def test_models_without_attributes_reject_them():
    spec = replace(SPEC, fields=("video",))
    for model in (tiny(attributes="none"), build({"name": "videovae", "width": 8}, spec).eval()):
        assert generate(model).shape == (1, T, 3, 32, 32)
        with pytest.raises(ZooError, match="It was trained without attributes"):
            generate(model, attributes=ATTRIBUTES)
