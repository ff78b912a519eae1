"""Golden records of MoCoGAN: outputs of the original networks and whole training steps, reproduced by the zoo's."""

import pytest
import torch

from tests.golden.mocogan import replay
from tests.helpers.paths import GOLDEN
from tests.models.test_golden import pairs

RECORDS = sorted((GOLDEN / "mocogan").glob("*.pt"))
MODES = ("train", "eval")


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    record = torch.load(path, weights_only=True)
    expected = {mode: record[mode] for mode in MODES if mode in record}
    inputs = {key: value for key, value in record.items() if key not in (*MODES, "train_state_after")}
    compared = 0
    for where, wanted, found in pairs(expected, replay(inputs), path.stem):
        assert found.shape == wanted.shape, where
        assert (found - wanted).norm() <= 1e-4 * wanted.norm() + 1e-10, where
        compared += 1
    assert compared
