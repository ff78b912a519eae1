"""Preflight: sentences about models and data that do not fit each other."""

import re
from dataclasses import replace

import pytest

from zoo.card import MODELS
from zoo.errors import ZooError
from zoo.settings import Evaluation, Strategy, Train
from zoo.testing import tiny_data
from zoo.training.preflight import check


def preflight(name, card=None, **settings):
    data = tiny_data(name, **settings)
    card = card or MODELS.find(name).card
    check(
        card,
        data.spec(),
        Train(MODELS.find(name).config.tiny(), data, Strategy("auto", "cpu", "1"), evaluation=Evaluation()),
    )


@pytest.mark.parametrize("name", ["vid2vid", "pix2pixhd"])
def test_a_model_of_colours_refuses_grey_clips(name):
    sentence = (
        f"{name} works with videos of 3 channels (RGB), but with data.channels=1 they have 1 channel (grey). "
        "Try: data.channels=3"
    )
    with pytest.raises(ZooError, match=f"^{re.escape(sentence)}$"):
        preflight(name, channels=1)
    preflight(name, channels=3)


@pytest.mark.parametrize("name", ["videovae", "classifier", "segmenter"])
def test_other_models_take_grey_clips_and_coloured_ones(name):
    for channels in (1, 3):
        preflight(name, channels=channels)


def test_a_model_of_grey_clips_refuses_colours():
    card = replace(MODELS.find("videovae").card, channels=(1,))
    with pytest.raises(ZooError, match=r"of 1 channel \(grey\), but with data.channels=3 .* Try: data.channels=1"):
        preflight("videovae", card)
