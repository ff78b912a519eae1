"""A short run of experiments/kills: real kills of real processes."""

import importlib.util
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "experiments/kills/run.py"


def test_kills_lose_nothing(tmp_path):
    spec = importlib.util.spec_from_file_location("kills", SCRIPT)
    kills = importlib.util.module_from_spec(spec)
    sys.modules["kills"] = kills
    spec.loader.exec_module(kills)
    tally = kills.kill_again_and_again("segmenter", kills=4, clips=24, folder=tmp_path)
    assert tally.kills >= 4
    assert tally.trainings >= 1
    assert tally.different == 0
