"""Golden records: outputs of the original networks, reproduced by the zoo's."""

from typing import Any

import pytest
import torch

from tests.golden.vid2vid import replay
from tests.helpers.golden import check_outputs
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


@pytest.mark.parametrize("path", RECORDS, ids=[path.stem for path in RECORDS])
def test_replay_reproduces_the_record(path):
    record = torch.load(path, weights_only=True)
    tolerance = TOLERANCE.get(path.stem.partition("_")[0], 1e-4)
    assert check_outputs(expected_outputs(record), replay(record), path.stem, tolerance)
