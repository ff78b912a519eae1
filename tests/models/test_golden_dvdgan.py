"""Golden records of DVD-GAN's pieces, from a reference of the published description, reproduced by the zoo's blocks."""

import pytest

from tests.golden.dvdgan import replay
from tests.helpers.golden import check_record
from tests.helpers.paths import GOLDEN

RECORDS = sorted((GOLDEN / "dvdgan").glob("*.pt"))


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    assert check_record(path, replay)
