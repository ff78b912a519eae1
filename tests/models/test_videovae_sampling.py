"""Every way to generate with VideoVAE: what shapes a frame, and what does not."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.videovae import ASKED, SPEC, T, generate, moving_clip, tiny, told
from zoo.errors import ZooError
from zoo.model import build
from zoo.models.videovae.control import Control, code_noise
from zoo.testing import tiny_clip
from zoo.types import SampleRequest


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
    """The likeliest: of constant ones by the mean of the frames, of others by the last one."""
    request = SampleRequest(9, context=2, options={"attributes": {"identity": "inferred", "action": "inferred"}})
    control = Control(request, ["a", "b"], {"identity": ("x", "y"), "action": ("u", "v")}, ("identity",), "videovae")
    sure = torch.tensor([[0.4, 0.0], [0.0, 0.4]])
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
        attributes = told(clip)[:, :1]
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


def test_generation_step_by_step():
    """Replayed by hand: prior, sample, frame, its own frame posterior, LSTM; attributes frame by frame."""
    model, clip = tiny(), moving_clip()
    request = SampleRequest(T, clip, seed=3, draw=2)
    video = model.sample(request).video
    part, vector = model.dynamics, told(clip)
    with torch.no_grad():
        h = c = torch.zeros(2, 32)
        for t in range(T):
            memory = part.recall(h)
            mean, spread = part.prior_head(torch.cat([memory, vector[:, t]], -1))
            code = mean + (spread / 2).exp() * code_noise(request, clip["key"], t, 16)
            frame = model.decoder(code)
            seen = part.frame_posterior(model.encoder(frame))
            h, c = part.cell(torch.cat([code, seen.mean, seen.log_variance], -1), (h, c))
            assert torch.allclose(video[:, t], frame, atol=1e-5)


def test_codes_of_given_frames_are_drawn_too():
    """Reconstruction at temperature 1 is the training's computation with the sample's own noise."""
    model, clip = tiny(), moving_clip()
    request = SampleRequest(T, clip, options={"reconstruct": True})
    noise = torch.stack([code_noise(request, clip["key"], t, 16) for t in range(T)], 1)
    with torch.no_grad():
        course = model.dynamics(model.encode(clip["video"][:, :T]), told(clip)[:, :T], noise)
        expected = model.decode(course.code, told(clip)[:, :T])
    assert torch.allclose(model.sample(request).video, expected, atol=1e-5)


def test_noise_differs_between_frames_clips_draws_and_seeds():
    request = SampleRequest(2)
    drawn = [
        *code_noise(request, ["a", "b"], 0, 8),
        *code_noise(request, ["a"], 1, 8),
        *code_noise(replace(request, draw=1), ["a"], 0, 8),
        *code_noise(replace(request, seed=1), ["a"], 0, 8),
    ]
    assert len({tuple(row.tolist()) for row in drawn}) == 5
    assert torch.equal(code_noise(request, ["b", "a"], 0, 8)[1], drawn[0])


def test_the_last_label_holds_where_the_given_clip_ends():
    model, clip = tiny(), moving_clip()
    seen = []
    row = model._row
    model._row = lambda control, ids, logits=None: seen.append(ids) or row(control, ids, logits)
    generate(model, frames=11, context=1, given=clip)
    actions = torch.stack([ids["action"] for ids in seen], 1)
    assert torch.equal(actions[:, :8], clip["attributes"]["action"])
    assert (actions[:, 8:] == 4).all()
    assert all(torch.equal(ids["identity"], clip["attributes"]["identity"][:, 0]) for ids in seen)


def test_free_is_drawn_although_the_given_clip_is_labelled():
    clip = tiny_clip("videovae")
    seen = set()
    for draw in range(40):
        request = SampleRequest(2, clip, context=1, draw=draw, options={"attributes": {"action": "free"}})
        control = Control(request, ["a"], SPEC.attributes, SPEC.constant, "videovae")
        control.hear({name: ids[:1, 0] for name, ids in clip["attributes"].items()})
        control.see({name: torch.zeros(1, len(values)) for name, values in SPEC.attributes.items()})
        assert control.settled(1)["identity"].equal(clip["attributes"]["identity"][:1, 0])
        seen.add(int(control.settled(1)["action"]))
    assert len(seen) >= 8


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
