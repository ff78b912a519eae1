"""A tiny VideoVAE and clips for it, shared by its tests."""

from dataclasses import replace

import torch

from zoo.model import build
from zoo.testing import tiny_clip, tiny_data
from zoo.types import SampleRequest

T = 6
SPEC = replace(tiny_data("videovae").spec(), constant=("identity",))
ATTRIBUTES = {"identity": "cleo", "action": "walk"}


def tiny(**settings):
    torch.manual_seed(0)
    model = {"name": "videovae", "width": 8, "code": 16, "hidden": 32, "features": 32, "units": 32}
    return build(model | settings, SPEC).eval()


def generate(model, frames=T, context=0, seed=0, draw=0, given=None, **options):
    return model.sample(SampleRequest(frames, given, context, seed, draw, options)).video


def one_hot_attributes(clip):
    """Attributes of a clip as one-hot vectors, identity before action, (B, T, A)."""
    names = SPEC.attributes
    return torch.cat([torch.nn.functional.one_hot(clip["attributes"][n], len(names[n])).float() for n in names], -1)


def moving_clip():
    """The tiny clip with an action that changes at frame 3."""
    clip = tiny_clip("videovae")
    action = clip["attributes"]["action"].clone()
    action[:, 3:] = 4
    return {**clip, "attributes": {**clip["attributes"], "action": action}}
