"""Golden records of MoCoGAN: outputs of the original networks and whole training steps, reproduced by the zoo's."""

import pytest

from tests.golden.mocogan import replay
from tests.helpers.golden import check_record
from tests.helpers.paths import GOLDEN

RECORDS = sorted((GOLDEN / "mocogan").glob("*.pt"))


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    assert check_record(path, replay, hidden=("train_state_after",))
