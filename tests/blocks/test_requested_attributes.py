"""Attributes of a sample for any model, such as a GAN with classes."""

import pytest
import torch

from zoo.blocks.requested_attributes import RequestedAttributes
from zoo.errors import ZooError
from zoo.types import SampleRequest

ATTRIBUTES = {"action": ("walk", "run", "jump"), "identity": ("ada", "bo")}


def requested(names=("sample/0", "sample/1"), **schedules: str) -> RequestedAttributes:
    request = SampleRequest(12, options={"attributes": schedules})
    return RequestedAttributes(request, list(names), ATTRIBUTES, "acme")


def test_schedule_changes_the_action_and_the_rest_is_drawn_once():
    attributes = requested(action="walk@0,run@8")
    found = [attributes.resolve(t) for t in range(12)]
    assert [ids["action"].tolist() for ids in found] == [[0, 0]] * 8 + [[1, 1]] * 4
    assert all(torch.equal(ids["identity"], found[0]["identity"]) for ids in found)


def test_drawn_values_belong_to_the_sample_and_reach_all():
    names = [f"sample/{number}" for number in range(60)]
    drawn = requested(names).resolve(0)["action"]
    assert torch.equal(requested(names[7:9]).resolve(0)["action"], drawn[7:9])
    assert set(drawn.tolist()) == {0, 1, 2}


def test_labels_of_a_given_clip_hold_after_its_end():
    attributes = requested()
    attributes.observe_labels({"action": torch.tensor([2, -1])})  # -1 is unknown, so it is drawn
    for t in range(3):
        ids = attributes.resolve(t)["action"]
        assert ids[0] == 2
        assert ids[1] in (0, 1, 2)


def test_a_model_that_infers_nothing_says_so():
    with pytest.raises(ZooError, match=r"acme does not infer attributes\. Try: attributes\.action=free"):
        requested(action="inferred")
