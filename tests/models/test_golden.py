"""Every record of the original networks, replayed by ours."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.golden.vid2vid import replay
from tests.helpers.paths import GOLDEN

RECORDS = sorted(GOLDEN.glob("*.pt"))
ANSWERS = {"eval", "eval_rawonly", "train", "train_rawonly", "loss_train", "losses", "losses_T", "loss_G", "loss_D"}
ANSWERS |= {"loss_D_T", "grads_G", "frames", "chunks"}
MISC = {"resample": "out_align_True", "edges": "out", "pyr": "out"}
TOLERANCE = {"rollout": 5e-3, "train": 1e-3}  # rounding grows through the recurrence
OF_A_CHUNK = {"fake_B", "raw", "flow", "weight", "fake_B_prev"}


def wanted(record: dict[str, Any]) -> dict[str, Any]:
    """The answers that a record holds and a replay gives."""
    if "resample" in record:
        answers = {name: {field: record[name][field]} for name, field in MISC.items()}
        answers["frame_selection"] = record["frame_selection"]
        for name in ("encoder", "single_global", "single_local", "single_global_with_features"):
            answers[name] = {mode: record[name][mode] for mode in ("eval", "train")}
        return answers
    answers = {name: value for name, value in record.items() if name in ANSWERS}
    if "chunks" in answers:
        answers["chunks"] = [{k: v for k, v in chunk.items() if k in OF_A_CHUNK} for chunk in answers["chunks"]]
    return answers


def pairs(expected: Any, found: Any, where: str) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Every tensor and number of the record beside the replay's."""
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
def test_record_is_replayed(path):
    record = torch.load(path, weights_only=True)
    tolerance = TOLERANCE.get(path.stem.partition("_")[0], 1e-4)
    compared = 0
    for where, expected, found in pairs(wanted(record), replay(record), path.stem):
        assert found.shape == expected.shape, where
        assert (found - expected).norm() <= tolerance * expected.norm() + 1e-10, where
        compared += 1
    assert compared
