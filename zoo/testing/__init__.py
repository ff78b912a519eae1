"""Contract tests that every model of the zoo passes; other packages can import and run them.

In the tests of a plug-in::

    from zoo.testing import contract_for

    TestAcme = contract_for("acme")
"""

from zoo.testing.contracts import (
    ClassifierContract,
    ConditionalContract,
    SamplerContract,
    SegmenterContract,
    TrainedContract,
    contract_class,
    contract_for,
)
from zoo.testing.helpers import (
    CLIPS,
    FRAMES,
    SIZE,
    answer,
    capture_on_cpu,
    one_of,
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
    "ConditionalContract",
    "SamplerContract",
    "SegmenterContract",
    "TrainedContract",
    "answer",
    "capture_on_cpu",
    "contract_class",
    "contract_for",
    "one_of",
    "quiet_trainer",
    "recorded_reads",
    "request_for",
    "tiny_clip",
    "tiny_data",
    "tiny_model",
    "train_as_commanded",
    "train_on",
]
