"""Golden records of VGAN: a training step and its pictures, restated from the original, reproduced by the zoo."""

import pytest
import torch

from tests.golden.vgan import replay
from tests.helpers.paths import GOLDEN
from tests.models.test_golden import pairs

RECORDS = sorted((GOLDEN / "vgan").glob("*.pt"))


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    record = torch.load(path, weights_only=True)
    compared = 0
    for where, wanted, found in pairs({mode: record[mode] for mode in ("train", "eval")}, replay(record), path.stem):
        assert found.shape == wanted.shape, where
        assert (found - wanted).norm() <= 1e-4 * wanted.norm() + 1e-10, where
        compared += 1
    assert compared > 50
