"""C3D as TGAN and TGANv2 use it: the preparation of clips against plain references, the layers, and the files."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from zoo.errors import ZooError
from zoo.evaluation.features.c3d import C3D, LINEAR, STAGES
from zoo.evaluation.features.load import load_features
from zoo.evaluation.features.names import check_features

NAMES = [name for stage in STAGES for name in stage]
CLASSES = 5
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (1, 16, 64, 64, 3)).astype(np.uint8)
VIDEO = torch.from_numpy(PIXELS).permute(0, 1, 4, 2, 3) / 127.5 - 1
MEAN = RANDOM.uniform(0, 255, (3, 16, 128, 171)).astype(np.float32)


def arrays() -> dict[str, np.ndarray]:
    """Weights of a narrow C3D: two channels everywhere, three hidden units."""
    found = {}
    for number, name in enumerate(NAMES):
        found[f"{name}/W"] = RANDOM.normal(0, 0.3, (2, 2 if number else 3, 3, 3, 3))
        found[f"{name}/b"] = RANDOM.normal(0, 0.1, 2)
    for name, (inputs, outputs) in zip(LINEAR, ((2 * 4 * 4, 3), (3, 3), (3, CLASSES)), strict=True):
        found[f"{name}/W"], found[f"{name}/b"] = (
            RANDOM.normal(0, 0.1, (outputs, inputs)),
            RANDOM.normal(0, 0.1, outputs),
        )
    return {name: values.astype(np.float32) for name, values in found.items()}


WEIGHTS = arrays()


def write(folder: Path, weights: dict[str, np.ndarray] = WEIGHTS, mean: np.ndarray | None = MEAN) -> Path:
    np.savez(folder / "conv3d_deepnetA_ucf.npz", **weights)
    if mean is not None:
        np.savez(folder / "mean2.npz", mean=mean)
    return folder / "conv3d_deepnetA_ucf.npz"


def clips_of(features) -> torch.Tensor:
    """What the network is given for VIDEO, (1, 3, 16, 112, 112)."""
    found = []
    features.network.register_forward_pre_hook(lambda network, inputs: found.append(inputs[0]))
    features.probabilities(VIDEO)
    return found[0]


def test_clips_are_prepared_as_by_tgan(tmp_path):
    """OpenCV's cubic resize of every frame, blue first, minus columns 21 to 148 of the mean clip; 112 from (8, 8)."""
    features = load_features("c3d_tgan", str(write(tmp_path)))
    expected = np.stack(
        [cv2.resize(frame.astype(np.float32), (128, 128), interpolation=cv2.INTER_CUBIC) for frame in PIXELS[0]]
    )
    expected = expected[..., ::-1].transpose(3, 0, 1, 2) - MEAN[:, :, :, 21:149]
    found = clips_of(features)[0].numpy()
    assert found.shape == (3, 16, 112, 112)
    assert np.abs(found - expected[:, :, 8:120, 8:120]).max() < 1e-2  # of 255


def test_clips_are_prepared_as_by_tgan2(tmp_path):
    """Corner pixels keep their place, so row i of 112 lies at 63 i / 111 of 64; another part of the mean clip."""
    features = load_features("c3d_tgan2", str(write(tmp_path)))
    place = np.arange(112) * 63 / 111
    low = np.minimum(place.astype(int), 62)
    share = (place - low)[:, None]
    frame = PIXELS[0, 3].astype(np.float64)
    rows = frame[low] * (1 - share[..., None]) + frame[low + 1] * share[..., None]
    both = rows[:, low] * (1 - share) + rows[:, low + 1] * share
    expected = both[..., ::-1].transpose(2, 0, 1) - MEAN[:, 3, 8:120, 8:120]
    assert np.abs(clips_of(features)[0, :, 3].numpy() - expected).max() < 1e-2


def test_layers_follow_each_other():
    """Poolings round up, and the first keeps all frames: 16 x 112 x 112 -> 1 x 4 x 4. A chain of plain functions."""
    network = C3D({name: torch.from_numpy(values) for name, values in WEIGHTS.items()})
    x = torch.randn(2, 3, 16, 112, 112)
    expected, sizes = x, []
    for number, stage in enumerate(STAGES):
        for name in stage:
            weight, bias = (torch.from_numpy(WEIGHTS[f"{name}/{part}"]) for part in "Wb")
            expected = F.conv3d(F.pad(expected, (1,) * 6), weight, bias).clamp(min=0)
        odd = [size % 2 for size in expected.shape[2:]]
        expected = F.pad(expected, (0, odd[2], 0, odd[1]), value=-1)  # never the largest after a ReLU
        expected = F.max_pool3d(expected, (2 if number else 1, 2, 2))
        sizes.append(tuple(expected.shape[2:]))
    assert sizes == [(16, 56, 56), (8, 28, 28), (4, 14, 14), (2, 7, 7), (1, 4, 4)]
    expected = expected.flatten(1)
    for name in LINEAR:
        expected = expected @ torch.from_numpy(WEIGHTS[f"{name}/W"]).T + torch.from_numpy(WEIGHTS[f"{name}/b"])
        expected = expected if name == LINEAR[-1] else expected.clamp(min=0)
    assert torch.allclose(network(x), expected, atol=1e-5)


def test_gives_probabilities_of_clips(tmp_path):
    features = load_features("c3d_tgan", str(write(tmp_path)))
    found = features.probabilities(VIDEO)
    assert found.shape == (1, CLASSES)
    assert found.sum().item() == pytest.approx(1, abs=1e-5)
    assert features.check("video_is", "probabilities", 16, "clips") == CLASSES
    with pytest.raises(ZooError, match="exactly 16 frames, but 12 are measured"):
        features.check("video_is", "probabilities", 12, "clips")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ZooError, match=r"c3d_tgan needs its NumPy archive, conv3d_deepnetA_ucf.npz"):
        check_features("c3d_tgan", None)
    file = write(tmp_path, mean=None)
    with pytest.raises(ZooError, match=r"mean2.npz is missing"):
        load_features("c3d_tgan", str(file))
    with pytest.raises(
        ZooError, match=r"holds \(3, 16, 112, 112\), but one mean clip of the shape \(3, 16, 128, 171\)"
    ):
        load_features("c3d_tgan", str(write(tmp_path, mean=MEAN[..., :112, :112])))
    with pytest.raises(ZooError, match=r"has no conv1a/W, conv1a/b"):
        load_features("c3d_tgan", str(write(tmp_path, {name: WEIGHTS[name] for name in WEIGHTS if "1a" not in name})))
    narrow = WEIGHTS | {"fc7/W": WEIGHTS["fc7/W"][:, :2]}
    with pytest.raises(ZooError, match="the layers do not fit together"):
        load_features("c3d_tgan", str(write(tmp_path, narrow)))
