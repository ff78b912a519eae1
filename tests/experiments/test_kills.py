"""A short run of experiments/kills: real kills of real processes."""

import pytest

from tests.helpers.cards import is_unmeasured, zoo_models
from tests.helpers.scripts import load_script


@pytest.fixture(scope="module")
def kills():
    return load_script("experiments/kills/run.py")


def test_kills_lose_nothing(kills, tmp_path):
    tally = kills.kill_repeatedly("segmenter", kills=4, clips=24, folder=tmp_path)
    assert tally.kills >= 4
    assert tally.trainings >= 1
    assert tally.different == 0


def test_docs_tell_the_kills_of_every_model(kills):
    """Of every one whose card does not say that it was not measured yet."""
    text = kills.PAGE.read_text()
    assert kills.page(text) == text
    assert all(f"| `{model}` |" in kills.table() for model in zoo_models() if not is_unmeasured(model))
    assert kills.KILLS >= 20
