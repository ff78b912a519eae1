"""Golden records of VGAN: a training step and its pictures, restated from the original, reproduced by the zoo."""

import pytest

from tests.golden.vgan import replay
from tests.helpers.golden import check_record
from tests.helpers.paths import GOLDEN

RECORDS = sorted((GOLDEN / "vgan").glob("*.pt"))


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    assert check_record(path, replay) > 50
