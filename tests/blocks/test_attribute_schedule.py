"""Attributes as typed, as networks take them, and as the classifier's figures count them."""

import math

import pytest
import torch

from zoo.blocks.attribute_schedule import FREE, INFERRED, read_schedules
from zoo.blocks.attributes import AttributeHeads, as_vector, clip_label, cross_entropy, over_clip
from zoo.config.compose import free_key
from zoo.data.module import KeyedClips, mask_labels
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.errors import ZooError

KNOWN = {"identity": ("ada", "bo"), "action": ("walk", "run", "bend")}


def schedule(text, name="action"):
    return read_schedules({name: text}, KNOWN, "videovae")[name]


def test_one_value_holds_from_the_first_frame():
    assert [schedule("run").at(t) for t in (0, 1, 99)] == [1, 1, 1]


def test_a_transition_changes_at_its_frames():
    ids = [schedule("walk@0,run@5,walk@10").at(t) for t in range(15)]
    assert ids == [0] * 5 + [1] * 5 + [0] * 5
    assert schedule("walk, bend@3").at(2) == 0
    assert schedule("walk, bend@3").at(3) == 2


def test_free_and_inferred_are_no_values():
    assert schedule("free").manner == FREE
    assert schedule("inferred").manner == INFERRED
    assert schedule("free").at(0) is None
    assert read_schedules({"mode": "free"}, {"mode": ("free", "bound")}, "m")["mode"].at(0) == 0


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"action": "wlak"}, "there is no action `wlak`. Did you mean `walk`? Known: walk, run, bend; or free"),
        ({"acton": "walk"}, "videovae has no attribute `acton`. Did you mean `action`? It has identity, action."),
        ({"action": "walk@0,run@x"}, "`x` is no number of a frame. Try: run@5"),
        ({"action": "walk@5"}, "values come in the order of their frames, the first from frame 0"),
        ({"action": "walk@0,run@5,bend@5"}, "values come in the order of their frames"),
        ({"action": "walk@0,run@-5"}, "`-5` is no number of a frame"),
    ],
)
def test_mistakes_are_told(asked, sentence):
    with pytest.raises(ZooError) as problem:
        read_schedules(asked, KNOWN, "videovae")
    assert sentence in str(problem.value)


def test_a_model_without_attributes_says_so():
    with pytest.raises(ZooError, match="It was trained without any"):
        read_schedules({"action": "walk"}, {}, "videovae")


def test_the_command_line_takes_commas_and_new_keys():
    assert free_key("attributes.action=walk@0,run@5") == "++attributes.action='walk@0,run@5'"
    assert free_key("frames=3") == "frames=3"
    assert free_key("attributes.action='walk'") == "attributes.action='walk'"


def test_vector_is_one_hot_where_told_and_inferred_elsewhere():
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, math.log(3.0)]], requires_grad=True)
    vector = as_vector(torch.tensor([0, -1]), logits)
    assert torch.allclose(vector, torch.tensor([[1.0, 0.0], [0.25, 0.75]]))
    assert not vector.requires_grad
    assert torch.allclose(as_vector(None, logits)[0], torch.tensor([0.25, 0.75]))


def test_cross_entropy_counts_what_is_known():
    logits = torch.tensor([[[0.0, math.log(3.0)], [5.0, 0.0]]])
    assert cross_entropy(logits, torch.tensor([[1, -1]])).item() == pytest.approx(math.log(4 / 3))
    assert cross_entropy(logits, torch.tensor([[-1, -1]])).item() == 0


def test_a_constant_attribute_is_read_off_the_whole_clip():
    logits = torch.tensor([[[1.0, 0.0], [3.0, 0.0]]])
    assert over_clip(logits, constant=True).tolist() == [[[2.0, 0.0], [2.0, 0.0]]]
    assert over_clip(logits, constant=False).tolist() == logits.tolist()


def test_heads_share_a_trunk_where_they_have_one():
    assert {name for name, _ in AttributeHeads(4, KNOWN).named_children()} == {"heads"}
    made = AttributeHeads(4, KNOWN, units=3)(torch.zeros(2, 5, 4))
    assert {name: tuple(row.shape) for name, row in made.items()} == {"identity": (2, 5, 2), "action": (2, 5, 3)}


@pytest.mark.parametrize("name", ["type", "keys", "who.first"])
def test_a_name_that_torch_needs_is_refused(name):
    with pytest.raises(ZooError, match="Rename it"):
        AttributeHeads(4, {name: ("a", "b")})


def test_a_clip_has_a_label_where_it_stays():
    assert clip_label(torch.tensor([[1, 1, 1], [1, 2, 1], [-1, -1, -1]])).tolist() == [1, -1, -1]


# ---------------------------------------------------------------- some clips without labels


def test_a_fraction_keeps_its_labels():
    def labelled(fraction, epoch=0, split="train"):
        clips = KeyedClips(
            PuppetsConfig(frames=2, height=16, labelled_fraction=fraction), split, frozenset({"attributes"}), 0
        )
        from zoo.data.module import ClipKey

        read = [clips[ClipKey(i, epoch, 2)]["attributes"] for i in range(200)]
        known = [{name: bool((ids >= 0).all()) for name, ids in each.items()} for each in read]
        assert all(len(set(each.values())) == 1 for each in known)  # all attributes of a clip, or none
        return {i for i, each in enumerate(known) if each["action"]}

    assert len(labelled(1.0)) == 200
    assert len(labelled(0.0)) == 0
    half, tenth = labelled(0.5), labelled(0.1)
    assert 80 <= len(half) <= 120
    assert 8 <= len(tenth) <= 35
    assert tenth <= half
    assert labelled(0.5, epoch=3) == half
    assert len(labelled(0.1, split="val")) == 200


def test_the_start_of_a_clip_does_not_decide_whether_it_is_labelled():
    clips = [
        {"key": f"weizmann/walk/daria_walk.avi/{start}", "attributes": {"a": torch.zeros(2)}} for start in range(50)
    ]
    known = {bool((mask_labels(clip, 0.5)["attributes"]["a"] >= 0).all()) for clip in clips}
    assert len(known) == 1


def test_no_attributes_no_change():
    assert mask_labels({"key": "folder/a/0"}, 0.0) == {"key": "folder/a/0"}
