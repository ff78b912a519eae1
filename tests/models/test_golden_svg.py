"""Golden records of SVG: outputs of the original networks, training steps and rollouts, reproduced by the zoo's."""

import pytest
import torch

from tests.golden.svg import replay
from tests.helpers.paths import GOLDEN
from tests.models.test_golden import pairs

RECORDS = sorted((GOLDEN / "svg").glob("*.pt"))
MODES = ("train", "eval")


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    record = torch.load(path, weights_only=True)
    expected = {mode: record[mode] for mode in MODES if mode in record}
    compared = 0
    for where, wanted, found in pairs(expected, replay(record), path.stem):
        assert found.shape == wanted.shape, where
        assert (found - wanted).norm() <= 1e-4 * wanted.norm() + 1e-10, where
        compared += 1
    assert compared
