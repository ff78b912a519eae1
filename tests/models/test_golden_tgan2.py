"""Golden records of TGANv2: numbers of the original code, reproduced by the zoo."""

import pytest
import torch

from tests.golden.tgan2 import replay
from tests.helpers.golden import check_record
from tests.helpers.paths import GOLDEN

RECORDS = sorted((GOLDEN / "tgan2").glob("*.pt"))


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    kind = torch.load(path, weights_only=True)["kind"]
    assert check_record(path, replay) >= {"step": 400, "conditional": 90}.get(kind, 1)
