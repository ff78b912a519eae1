"""Golden records: outputs of the original networks, reproduced by the zoo's."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.golden.vid2vid import replay
from tests.helpers.paths import GOLDEN

RECORDS = sorted(GOLDEN.glob("*.pt"))
OUTPUTS = {"eval", "eval_rawonly", "train", "train_rawonly", "loss_train", "losses", "losses_T", "loss_G", "loss_D"}
OUTPUTS |= {"loss_D_T", "grads_G", "frames", "chunks"}
MISC = {"resample": "out_align_True", "edges": "out", "pyr": "out"}
TOLERANCE = {"rollout": 5e-3, "train": 1e-3}  # rounding errors grow through the recurrence
CHUNK_OUTPUTS = {"fake_B", "raw", "flow", "weight", "fake_B_prev"}


def expected_outputs(record: dict[str, Any]) -> dict[str, Any]:
    """The outputs in a record that ``replay`` computes."""
    if "resample" in record:
        outputs = {name: {field: record[name][field]} for name, field in MISC.items()}
        outputs["frame_selection"] = record["frame_selection"]
        for name in ("encoder", "single_global", "single_local", "single_global_with_features"):
            outputs[name] = {mode: record[name][mode] for mode in ("eval", "train")}
        return outputs
    outputs = {name: value for name, value in record.items() if name in OUTPUTS}
    if "chunks" in outputs:
        outputs["chunks"] = [{k: v for k, v in chunk.items() if k in CHUNK_OUTPUTS} for chunk in outputs["chunks"]]
    return outputs


def pairs(expected: Any, found: Any, where: str) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Pairs of each tensor and number in the record and in the replay."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            if value is not None:
                yield from pairs(value, found[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(expected) == len(found), where
        for number, (value, other) in enumerate(zip(expected, found, strict=True)):
            if value is None:
                assert other is None, f"{where}[{number}]"
            else:
                yield from pairs(value, other, f"{where}[{number}]")
    else:
        yield where, *(torch.as_tensor(x).detach().double() for x in (expected, found))


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    record = torch.load(path, weights_only=True)
    tolerance = TOLERANCE.get(path.stem.partition("_")[0], 1e-4)
    compared = 0
    for where, expected, found in pairs(expected_outputs(record), replay(record), path.stem):
        assert found.shape == expected.shape, where
        assert (found - expected).norm() <= tolerance * expected.norm() + 1e-10, where
        compared += 1
    assert compared
