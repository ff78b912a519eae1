"""Golden records of DVD-GAN's pieces, from a reference of the published description, reproduced by the zoo's blocks."""

import pytest
import torch

from tests.golden.dvdgan import replay
from tests.helpers.paths import GOLDEN
from tests.models.test_golden import pairs

RECORDS = sorted((GOLDEN / "dvdgan").glob("*.pt"))


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    record = torch.load(path, weights_only=True)
    wanted = {mode: record.pop(mode) for mode in ("train", "eval") if mode in record}
    compared = 0
    for where, value, found in pairs(wanted, replay(record), path.stem):
        assert found.shape == value.shape, where
        assert (found - value).norm() <= 1e-4 * value.norm() + 1e-10, where
        compared += 1
    assert compared
