"""A short run of experiments/kills: real kills of real processes."""

import importlib.util
import sys

import pytest

from tests.helpers.paths import ROOT
from zoo import list_models

SCRIPT = ROOT / "experiments/kills/run.py"


@pytest.fixture(scope="module")
def kills():
    spec = importlib.util.spec_from_file_location("kills", SCRIPT)
    kills = importlib.util.module_from_spec(spec)
    sys.modules["kills"] = kills
    spec.loader.exec_module(kills)
    return kills


def test_kills_lose_nothing(kills, tmp_path):
    tally = kills.kill_repeatedly("segmenter", kills=4, clips=24, folder=tmp_path)
    assert tally.kills >= 4
    assert tally.trainings >= 1
    assert tally.different == 0


def test_docs_tell_the_kills_of_every_model(kills):
    text = kills.PAGE.read_text()
    assert kills.page(text) == text
    assert all(f"| `{model}` |" in kills.table() for model in list_models())
    assert kills.KILLS >= 20
