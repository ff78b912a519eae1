"""Contract tests that every model of the zoo passes; other packages can import and run them.

In the tests of a plug-in::

    import pytest
    from zoo.testing import ModelContract

    class TestAcme(ModelContract):
        @pytest.fixture
        def name(self) -> str:
            return "acme"
"""

from zoo.testing.contracts import ClassifierContract, ModelContract, SegmenterContract, TrainedContract
from zoo.testing.helpers import (
    CLIPS,
    FRAMES,
    SIZE,
    answer,
    capture_on_cpu,
    quiet_trainer,
    recorded_reads,
    request_for,
    tiny_clip,
    tiny_data,
    tiny_model,
    train_as_commanded,
    train_on,
)

__all__ = [
    "CLIPS",
    "FRAMES",
    "SIZE",
    "ClassifierContract",
    "ModelContract",
    "SegmenterContract",
    "TrainedContract",
    "answer",
    "capture_on_cpu",
    "quiet_trainer",
    "recorded_reads",
    "request_for",
    "tiny_clip",
    "tiny_data",
    "tiny_model",
    "train_as_commanded",
    "train_on",
]
