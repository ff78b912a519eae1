"""Golden records of TGANv2: numbers of the original code, reproduced by the zoo."""

import pytest
import torch

from tests.golden.tgan2 import replay
from tests.helpers.paths import GOLDEN
from tests.models.test_golden import pairs

RECORDS = sorted((GOLDEN / "tgan2").glob("*.pt"))


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    record = torch.load(path, weights_only=True)
    wanted_modes = {mode: record.pop(mode) for mode in ("train", "eval") if mode in record}
    compared = 0
    for where, wanted, found in pairs(wanted_modes, replay(record), path.stem):
        assert found.shape == wanted.shape, where
        assert (found - wanted).norm() <= 1e-4 * wanted.norm() + 1e-10, where
        compared += 1
    assert compared >= {"step": 400, "conditional": 90}.get(record["kind"], 1)
