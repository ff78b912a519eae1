"""Attribute schedules and their errors, attribute heads and vectors, and data sets with few labels."""

import math

import pytest
import torch

from zoo.blocks.attribute_schedule import FREE, INFERRED, parse_schedules
from zoo.blocks.attributes import AttributeHeads, attribute_vector, average_over_clip, clip_label, cross_entropy
from zoo.config.words import quote_word
from zoo.data.module import KeyedClips, mask_labels
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.errors import ZooError

KNOWN = {"identity": ("ada", "bo"), "action": ("walk", "run", "bend")}


def schedule(text, name="action"):
    return parse_schedules({name: text}, KNOWN, "videovae")[name]


def test_a_single_value_holds_for_all_frames():
    assert [schedule("run").at(t) for t in (0, 1, 99)] == [1, 1, 1]


def test_values_change_at_their_start_frames():
    ids = [schedule("walk@0,run@5,walk@10").at(t) for t in range(15)]
    assert ids == [0] * 5 + [1] * 5 + [0] * 5
    assert schedule("walk, bend@3").at(2) == 0
    assert schedule("walk, bend@3").at(3) == 2


def test_free_and_inferred_are_modes_without_a_value():
    assert schedule("free").mode == FREE
    assert schedule("inferred").mode == INFERRED
    assert schedule("free").at(0) is None
    assert parse_schedules({"mode": "free"}, {"mode": ("free", "bound")}, "m")["mode"].at(0) == 0


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            {"action": "wlak"},
            "`wlak` is not a value of action. Did you mean `walk`? Choices: walk, run, bend, free or inferred.",
        ),
        ({"acton": "walk"}, "videovae has no attribute `acton`. Did you mean `action`? Known: identity, action."),
        ({"action": "walk@0,run@x"}, "`x` is not a frame number. Try: run@5"),
        ({"action": "walk@5"}, "start frames must ascend, and the first must be 0"),
        ({"action": "walk@0,run@5,bend@5"}, "start frames must ascend"),
        ({"action": "walk@0,run@-5"}, "`-5` is not a frame number"),
    ],
)
def test_malformed_schedules_are_rejected_with_a_suggestion(texts, message):
    with pytest.raises(ZooError) as problem:
        parse_schedules(texts, KNOWN, "videovae")
    assert message in str(problem.value)


def test_a_model_without_attributes_rejects_attributes():
    with pytest.raises(ZooError, match="It was trained without attributes"):
        parse_schedules({"action": "walk"}, {}, "videovae")


def test_overrides_with_commas_are_quoted_for_hydra():
    assert quote_word("attributes.action=walk@0,run@5") == "++attributes.action='walk@0,run@5'"
    assert quote_word("frames=3") == "frames=3"
    assert quote_word("attributes.action='walk'") == "attributes.action='walk'"


def test_attribute_vector_is_one_hot_where_labelled_and_inferred_elsewhere():
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, math.log(3.0)]], requires_grad=True)
    vector = attribute_vector(torch.tensor([0, -1]), logits)
    assert torch.allclose(vector, torch.tensor([[1.0, 0.0], [0.25, 0.75]]))
    assert not vector.requires_grad
    assert torch.allclose(attribute_vector(None, logits)[0], torch.tensor([0.25, 0.75]))


def test_cross_entropy_ignores_unknown_labels():
    logits = torch.tensor([[[0.0, math.log(3.0)], [5.0, 0.0]]])
    assert cross_entropy(logits, torch.tensor([[1, -1]])).item() == pytest.approx(math.log(4 / 3))
    assert cross_entropy(logits, torch.tensor([[-1, -1]])).item() == 0


def test_logits_of_a_constant_attribute_are_averaged_over_the_clip():
    logits = torch.tensor([[[1.0, 0.0], [3.0, 0.0]]])
    assert average_over_clip(logits, constant=True).tolist() == [[[2.0, 0.0], [2.0, 0.0]]]
    assert average_over_clip(logits, constant=False).tolist() == logits.tolist()


def test_heads_share_a_hidden_layer_if_it_has_units():
    assert {name for name, _ in AttributeHeads(4, KNOWN).named_children()} == {"heads"}
    logits = AttributeHeads(4, KNOWN, units=3)(torch.zeros(2, 5, 4))
    assert {name: tuple(row.shape) for name, row in logits.items()} == {"identity": (2, 5, 2), "action": (2, 5, 3)}


@pytest.mark.parametrize("name", ["type", "keys", "who.first"])
def test_attribute_names_reserved_by_pytorch_are_rejected(name):
    with pytest.raises(ZooError, match="PyTorch reserves it"):
        AttributeHeads(4, {name: ("a", "b")})


def test_a_clip_has_a_label_only_if_all_its_frames_share_it():
    assert clip_label(torch.tensor([[1, 1, 1], [1, 2, 1], [-1, -1, -1]])).tolist() == [1, -1, -1]


# ---------------------------------------------------------------- data sets with few labels


def test_labelled_fraction_keeps_the_labels_of_that_share_of_training_clips():
    def labelled(fraction, epoch=0, split="train"):
        clips = KeyedClips(
            PuppetsConfig(frames=2, height=16, labelled_fraction=fraction), split, frozenset({"attributes"}), 0
        )
        from zoo.data.module import ClipKey

        read = [clips[ClipKey(i, epoch, 2)]["attributes"] for i in range(200)]
        known = [{name: bool((ids >= 0).all()) for name, ids in each.items()} for each in read]
        assert all(len(set(each.values())) == 1 for each in known)  # a clip has either all of its labels or none
        return {i for i, each in enumerate(known) if each["action"]}

    assert len(labelled(1.0)) == 200
    assert len(labelled(0.0)) == 0
    half, tenth = labelled(0.5), labelled(0.1)
    assert 80 <= len(half) <= 120
    assert 8 <= len(tenth) <= 35
    assert tenth <= half
    assert labelled(0.5, epoch=3) == half
    assert len(labelled(0.1, split="val")) == 200


def test_all_clips_of_a_video_are_labelled_or_none():
    clips = [
        {"key": f"weizmann/walk/daria_walk.avi/{start}", "attributes": {"a": torch.zeros(2)}} for start in range(50)
    ]
    known = {bool((mask_labels(clip, 0.5)["attributes"]["a"] >= 0).all()) for clip in clips}
    assert len(known) == 1


def test_clips_without_attributes_are_unchanged_by_labelled_fraction():
    assert mask_labels({"key": "folder/a/0"}, 0.0) == {"key": "folder/a/0"}
