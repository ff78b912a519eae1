"""Golden records of TGAN: numbers of the original code, reproduced by the zoo."""

import pytest
import torch

from tests.golden.tgan import replay
from tests.helpers.golden import check_record
from tests.helpers.paths import GOLDEN

RECORDS = sorted((GOLDEN / "tgan").glob("*.pt"))


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    kind = torch.load(path, weights_only=True)["kind"]
    assert check_record(path, replay) >= (100 if kind == "step" else 1)
