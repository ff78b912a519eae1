"""Models that take grey clips: one channel from the clip to the output, at frames that are wider than high.

Shapes: B clips, T frames, H x W pixels.
"""

from dataclasses import asdict, replace

import pytest
import torch
from torch.utils.data import default_collate

from zoo.card import MODELS
from zoo.data.base import build_set
from zoo.model import build
from zoo.testing import answer, request_for, tiny_data, train_on

B, T, H, W = 2, 8, 32, 64
NAMES = [entry.card.name for entry in MODELS.entries() if 1 in entry.card.channels]

every_model = pytest.mark.parametrize("name", NAMES)


def grey_model(name, channels=1, **settings):
    torch.manual_seed(0)
    data = tiny_data(name, channels=channels, width=W)
    return build(asdict(replace(MODELS.find(name).config.tiny(), **settings)), data.spec())


def grey_clip(name):
    clips = build_set(tiny_data(name, channels=1, width=W), "train", MODELS.find(name).card.wanted(), seed=0)
    return default_collate([clips.clip(index, 0, T) for index in range(B)])


def test_these_models_take_grey_clips():
    assert {"videovae", "classifier", "segmenter"} <= set(NAMES)


@every_model
def test_a_step_reaches_every_parameter_and_the_output_has_one_channel(name, tmp_path):
    model, clip = grey_model(name), grey_clip(name)
    assert clip["video"].shape == (B, T, 1, H, W)
    train_on(model, clip, 1, tmp_path)
    assert all(loss.isfinite() for loss in model.losses.values())
    expected = {"segmenter": (B, T, H, W), "classifier": (B, sum(map(len, model.spec.attributes.values())))}
    assert answer(model.eval(), clip).shape == expected.get(name, (B, T, 1, H, W))


@every_model
def test_only_layers_at_the_pixels_differ_from_those_for_rgb(name):
    grey, rgb = grey_model(name).state_dict(), grey_model(name, channels=3).state_dict()
    assert list(grey) == list(rgb)
    different = [key for key, weight in grey.items() if weight.shape != rgb[key].shape]
    # The first weight; of a decoder also the last weight and bias, the colour field's, and the finest skip's weight.
    # Discriminators with residual blocks have two layers at the pixels, and there are up to three such discriminators.
    assert 1 <= len(different) <= 8
    assert all(rgb[key].numel() == 3 * grey[key].numel() for key in different)


def test_a_grey_videovae_learns_a_clip(tmp_path):
    model, clip = grey_model("videovae"), grey_clip("videovae")

    def distance():
        return float((model.eval().sample(request_for(model, clip)).video - clip["video"]).abs().mean())

    before = distance()
    train_on(model.train(), clip, 60, tmp_path)
    assert distance() < 0.5 * before


def test_the_networks_of_the_paper_take_grey_frames():
    spec = tiny_data("videovae", channels=1, height=64, width=64).spec()
    model = build({"name": "videovae", "preset": "paper"}, spec).eval()
    video = torch.rand(1, 2, 1, 64, 64) * 2 - 1
    features = model.encode_frames(video)
    assert features.shape == (1, 2, model.config.features)
    decoded = model.decode_frames(torch.zeros(1, 2, model.config.code), torch.zeros(1, 2, 0))
    assert decoded.shape == video.shape
