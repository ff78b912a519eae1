"""Input that a user gives to a trained model is processed like the data that it was trained on."""

import shutil

import numpy as np
import pytest
import torch

from tests.helpers.layouts import clips, config
from tests.helpers.paths import FIXTURES
from zoo.data.decode import read_ids, read_image
from zoo.data.model_input import count_input_frames, read_model_input
from zoo.errors import ZooError
from zoo.types import ClipSpec


@pytest.fixture
def root(tmp_path):
    """A function that copies a fixture, so nothing is cached beside the committed files."""
    return lambda name: shutil.copytree(FIXTURES / name, tmp_path / name)


def spec_of(name, **settings):
    return config(name, FIXTURES / name, **settings).spec()


def test_labels_with_instances_are_read(root):
    folder = root("paired")
    given, beside = folder / "train_A/walk", folder / "train_inst/walk"
    spec = spec_of("paired")
    assert count_input_frames(given, spec, "labels") == 12
    pieces = list(read_model_input(given, spec, "labels", beside))
    assert len(pieces) == 12
    for t in (0, 9, 11):
        assert set(pieces[t]) == {"fps", "key", "labels", "instances"}
        assert pieces[t]["labels"].shape == (1, 1, 32, 64)
        np.testing.assert_array_equal(pieces[t]["labels"][0, 0], read_ids(given / f"{t + 1}.png"))
        np.testing.assert_array_equal(pieces[t]["instances"][0, 0], read_ids(beside / f"{t + 1}.png"))
    assert pieces[0]["instances"].dtype == torch.int64
    assert "instances" not in next(read_model_input(given, spec, "labels"))


@pytest.mark.parametrize("kind", ["edges", "distance"])
def test_condition_from_footage_matches_the_data_set(root, kind):
    folder = root("paired")
    clip = clips("paired", folder, "val", condition=kind, label_count=None, frames=8).clip(0, 0, 8)
    spec = spec_of("paired", condition=kind, label_count=None)
    pieces = list(read_model_input(folder / "test_B/run", spec, "condition"))
    assert torch.equal(torch.cat([piece["condition"] for piece in pieces], 1)[0], clip["condition"])
    assert torch.equal(torch.cat([piece["video"] for piece in pieces], 1)[0], clip["video"])


def test_grey_footage_matches_the_data_set(root):
    """Edges are those of the frames in RGB."""
    folder = root("paired")
    settings = {"condition": "edges", "label_count": None, "channels": 1}
    clip = clips("paired", folder, "val", **settings, frames=8).clip(0, 0, 8)
    spec = spec_of("paired", **settings)
    for source in ("condition", None):
        pieces = list(read_model_input(folder / "test_B/run", spec, source))
        assert pieces[0]["video"].shape == (1, 1, 1, 32, 64)
        assert torch.equal(torch.cat([piece["video"] for piece in pieces], 1)[0], clip["video"])
    pieces = list(read_model_input(folder / "test_B/run", spec, "condition"))
    assert torch.equal(torch.cat([piece["condition"] for piece in pieces], 1)[0], clip["condition"])


@pytest.mark.parametrize("kind", ["openpose", "densepose", "both"])
@pytest.mark.parametrize("direct", [True, False])
def test_condition_from_poses_matches_the_data_set(root, tmp_path, kind, direct):
    folder = root("pose")
    clip = clips("pose", folder, "val", condition=kind, frames=8).clip(0, 0, 8)
    given = tmp_path / "given"
    given.mkdir()
    for each in ("openpose", "densepose"):
        place = given if direct else given / each
        shutil.copytree(folder / f"test_{each}/bend", place, dirs_exist_ok=True)
    spec = spec_of("pose", condition=kind)
    assert count_input_frames(given, spec, "condition") == 8
    pieces = list(read_model_input(given, spec, "condition"))
    assert torch.equal(torch.cat([piece["condition"] for piece in pieces], 1)[0], clip["condition"])


def test_keypoints_of_another_frame_size_need_a_frame(root, tmp_path):
    folder = root("pose")
    spec = spec_of("pose", condition="openpose", height=16, width=32)
    given = folder / "test_openpose/bend"
    with pytest.raises(
        ZooError, match=r"keypoint at x=.*the model's frames are 32x16.*Put one of these frames in .*img"
    ):
        read_model_input(given, spec, "condition")
    shutil.copytree(folder / "test_img/bend", given / "img")
    clip = clips("pose", folder, "val", condition="openpose", height=16, width=32, frames=8).clip(0, 0, 8)
    pieces = list(read_model_input(given, spec, "condition"))
    assert torch.equal(torch.cat([piece["condition"] for piece in pieces], 1)[0], clip["condition"])


def test_drawings_are_read():
    spec = ClipSpec(("video", "condition"), 4, 32, 64, 12.5, condition_kind="drawings", condition_channels=3)
    piece = next(read_model_input(FIXTURES / "paired/test_B/run", spec, "condition"))
    frame = read_image(FIXTURES / "paired/test_B/run/1.jpg")
    np.testing.assert_allclose(piece["condition"][0, 0].permute(1, 2, 0), frame / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize(
    ("data", "kind", "source", "path", "instances", "message"),
    [
        ("paired", "edges", "condition", "no.mp4", None, r"given=.*no.mp4: there is no such file"),
        ("paired", "edges", "condition", "", None, r"contains no frames"),
        (
            "paired",
            "edges",
            "condition",
            "test_B/run",
            "test_inst/run",
            r"instances=.* needs label maps, but this model translates `edges`",
        ),
        (
            "paired",
            "none",
            "labels",
            "test_B",
            None,
            r"This model translates label maps, so .* must be a folder with one PNG of class ids",
        ),
        ("paired", "none", "labels", "test_B/run", None, r"1.jpg is a JPEG, which changes pixels"),
        (
            "paired",
            "none",
            "labels",
            "test_A/run",
            "train_inst/walk",
            r"8 files of labels, 12 of instances.*9.png, 10.png, 11.png, 12.png of instances have no partner",
        ),
        (
            "pose",
            "both",
            "condition",
            "test_openpose/bend",
            None,
            r"must be a folder with densepose/\*.png and openpose/\*.json. There is no densepose",
        ),
        ("pose", "openpose", "condition", "test_img/bend", None, r"There is no openpose"),
    ],
)
def test_invalid_input_raises_at_the_call(root, data, kind, source, path, instances, message):
    folder = root(data)
    settings = {} if kind == "none" else {"condition": kind}
    spec = spec_of(data, **settings, **({"label_count": None} if (data, kind) == ("paired", "edges") else {}))
    with pytest.raises(ZooError, match=message):
        read_model_input(folder / path, spec, source, folder / instances if instances else None)


def test_label_beyond_the_classes_raises():
    with pytest.raises(ZooError, match=r"1.png has the label 1\d; this model knows 0 to 2"):
        list(read_model_input(FIXTURES / "paired/test_A/run", spec_of("paired", label_count=3), "labels"))


def test_condition_that_cannot_be_read_raises():
    spec = ClipSpec(("video", "condition"), 4, 32, 64, 12.5, condition_kind="pose", condition_channels=3)
    with pytest.raises(ZooError, match=r"the condition `pose`, which can neither be computed from footage nor read"):
        read_model_input(FIXTURES / "paired/test_B/run", spec, "condition")
