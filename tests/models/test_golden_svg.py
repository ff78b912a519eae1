"""Golden records of SVG: outputs of the original networks, training steps and rollouts, reproduced by the zoo's."""

import pytest

from tests.golden.svg import replay
from tests.helpers.golden import check_record
from tests.helpers.paths import GOLDEN

RECORDS = sorted((GOLDEN / "svg").glob("*.pt"))


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    assert check_record(path, replay)
