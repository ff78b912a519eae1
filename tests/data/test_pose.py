"""The data set `pose`: the drawn skeleton, DensePose, dropped limbs."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch

from tests.helpers.layouts import clips, config
from tests.helpers.paths import FIXTURES
from zoo.data.decode import read_image
from zoo.data.sets.pose.densepose import densepose_condition, read_iuv
from zoo.data.sets.pose.names import PARTS
from zoo.data.sets.pose.openpose import draw_people, first_body, place_keypoints
from zoo.data.sets.pose.skeleton import BODY_LIMBS, FACE, LEFT_HAND, LIMBS, LINES, POINTS
from zoo.errors import ZooError


@pytest.fixture
def root(tmp_path):
    """A function that copies a fixture, so nothing is cached beside the committed files."""
    return lambda name: shutil.copytree(FIXTURES / name, tmp_path / name)


def limb(start, end, height=128, width=64, **person):
    """Draw one limb on a frame of (128, 64), in which the line of a body has a radius of one pixel."""
    people = np.zeros((1, POINTS, 3), np.float32)
    people[0, start], people[0, end] = person["a"], person["b"]
    return draw_people(people, height, width)


def test_skeleton_on_a_small_example():
    """The spine, keypoints 1 and 8, is the first limb, red, from (10, 16) to (20, 16): row 16, half of 15 and 17."""
    drawn = limb(1, 8, a=(10, 16, 1), b=(20, 16, 1))
    assert (drawn.shape, drawn.dtype) == ((3, 128, 64), np.float32)
    np.testing.assert_allclose(drawn[:, 16, 10:21], np.tile([[1], [-1], [-1]], 11))
    for row in (15, 17):
        np.testing.assert_allclose(drawn[:, row, 10:21], np.tile([[0], [-1], [-1]], 11))
    np.testing.assert_allclose(drawn[0, 16, [8, 9, 21, 22]], [-1, 0, 0, -1])
    assert (drawn[:, [14, 18]] == -1).all()


def test_colours_are_averaged_where_lines_overlap():
    """The spine (1, 8) in red and the right shoulder (1, 2) in its own hue overlap at (20, 16)."""
    people = np.zeros((1, POINTS, 3), np.float32)
    people[0, [1, 8, 2]] = (20, 16, 1), (40, 16, 1), (20, 36, 1)
    drawn = draw_people(people, 128, 64)
    red, shoulder = (np.array(LINES[i].colour) / 127.5 - 1 for i in (0, 1))
    np.testing.assert_allclose(drawn[:, 16, 20], (red + shoulder) / 2, atol=1e-5)
    np.testing.assert_allclose(drawn[:, 16, 35], red, atol=1e-5)
    np.testing.assert_allclose(drawn[:, 30, 20], shoulder, atol=1e-5)
    assert (draw_people(people, 128, 64, dropped={0})[:, 16, 35] == -1).all()


def test_low_confidence_and_no_people_draw_nothing():
    assert (limb(1, 8, a=(10, 16, 1), b=(20, 16, 0.04)) == -1).all()
    assert (limb(FACE, FACE + 1, a=(10, 16, 1), b=(20, 16, 0.39)) == -1).all()
    assert limb(LEFT_HAND, LEFT_HAND + 1, a=(10, 16, 1), b=(20, 16, 0.21)).max() == 1
    assert (draw_people(np.zeros((0, POINTS, 3), np.float32), 32, 32) == -1).all()
    assert np.isfinite(limb(1, 8, a=(500, -90, 1), b=(700, 16, 1))).all()  # outside the frame


def test_every_limb_of_the_body_is_drawn_in_its_own_colour():
    assert len({LINES[i].colour for i in range(len(BODY_LIMBS))}) == len(BODY_LIMBS) == 24
    assert sorted({line.limb for line in LINES}) == list(range(LIMBS))
    assert {end for line in LINES for end in (line.start, line.end)} == set(range(POINTS)) - {FACE + 68, FACE + 69}


def test_keypoints_are_resized_with_the_frame():
    """96x64 pixels cover 32x32: the middle 64 columns, scaled by 1/2; the centre of the frame stays the centre."""
    people = np.zeros((1, POINTS, 3), np.float32)
    people[0, 0], people[0, 1], people[0, 2] = (47.5, 31.5, 1), (16, 0, 1), (5, 5, 1)
    points = place_keypoints(people, (64, 96), 32, 32)
    np.testing.assert_allclose(points[0, :3], [(15.5, 15.5, 1), (-0.25, -0.25, 1), (-5.75, 2.25, 1)])
    body = first_body(points, 32, 32)
    np.testing.assert_allclose(body[:3], [(15.5, 15.5, 1), (0, 0, 0), (0, 0, 0)])
    assert not first_body(np.zeros((0, POINTS, 3), np.float32), 32, 32).any()


def test_parts_and_joints_are_where_the_person_is(root):
    folder = root("pose")
    spec = config("pose", folder).spec()
    assert spec.fields == ("video", "labels", "condition", "pose")
    assert (spec.condition_kind, spec.condition_channels, spec.label_names) == ("both", 6, PARTS)
    assert (spec.label_names[23], spec.label_names[24], len(spec.foreground)) == ("right head", "left head", 24)
    clip = clips("pose", folder, "val", frames=8).clip(0, 0, 8)
    iuv = read_image(folder / "test_densepose/bend/0002.png")
    expected = iuv / np.array([24, 255, 255]) * 2 - 1
    np.testing.assert_allclose(clip["condition"][2, :3].permute(1, 2, 0), expected, atol=1e-6)
    np.testing.assert_array_equal(clip["labels"][2], iuv[..., 0])
    joints = np.array(
        json.loads((folder / "test_openpose/bend/0002_keypoints.json").read_text())["people"][0]["pose_keypoints_2d"]
    )
    np.testing.assert_allclose(clip["pose"][2, :15], joints.reshape(25, 3)[:15], atol=1e-4)
    assert clip["pose"].shape == (8, 25, 3)
    assert not clip["pose"][:, 19:].any()  # the feet were not found
    x, y, _ = clip["pose"][2, 8].round().int().tolist()  # the pelvis
    assert clip["labels"][2, y, x] > 0
    assert clip["condition"][2, 3:, y, x].max() > -0.5
    person = clip["labels"] > 0
    assert (clip["condition"][:, 3:].amax(1) > 0)[person].float().mean() > 0.1
    assert (clip["condition"][:, 3:].amax(1) > 0)[~person].float().mean() < 0.01


@pytest.mark.parametrize(
    ("kind", "channels", "fields"),
    [
        ("openpose", 3, {"condition", "pose"}),
        ("densepose", 3, {"condition", "labels"}),
        ("both", 6, {"condition", "labels", "pose"}),
    ],
)
def test_every_condition_of_pose(root, kind, channels, fields):
    folder = root("pose")
    clip = clips("pose", folder, "val", condition=kind).clip(0, 0, 4)
    assert set(clip) == {"video", "fps", "key", "content", *fields}
    assert clip["condition"].shape == (4, channels, 32, 64)
    for other in {"openpose", "densepose"} - {kind} if kind != "both" else ():
        for phase in ("train", "test"):
            shutil.rmtree(folder / f"{phase}_{other}")
        assert config("pose", folder).spec().condition_kind == kind  # auto takes what is there
        with pytest.raises(ZooError, match=rf"no train_{other} with the {other}"):
            config("pose", folder, condition=other).spec()


def test_densepose_is_read_with_the_part_in_red_or_blue(tmp_path):
    iuv = np.zeros((8, 8, 3), np.uint8)
    iuv[2:4, 2:4] = (24, 200, 100)
    for order in (slice(None), slice(None, None, -1)):
        cv2.imwrite(str(tmp_path / "a.png"), iuv[..., ::-1][..., order])
        np.testing.assert_array_equal(read_iuv(tmp_path / "a.png"), iuv)
    shown = densepose_condition(iuv[None])
    np.testing.assert_allclose(shown[0, :, 2, 2], [1, 200 / 127.5 - 1, 100 / 127.5 - 1], rtol=1e-6)
    assert (shown[0, :, 0, 0] == -1).all()
    assert (densepose_condition(iuv[None], dropped={24}) == -1).all()
    cv2.imwrite(str(tmp_path / "a.png"), iuv[..., ::-1] * 10)
    with pytest.raises(ZooError, match=r"a.png is not an image of DensePose.*red reaches 240 and blue 232"):
        read_iuv(tmp_path / "a.png")


def test_limbs_are_dropped_for_a_whole_clip_in_training_only(root):
    folder = root("pose")
    whole, dropped = (clips("pose", folder, limb_dropout=p) for p in (0.0, 0.3))
    for epoch in range(5):
        full, less = whole.clip(0, epoch, 4), dropped.clip(0, epoch, 4)
        assert full["key"] == less["key"]
        assert torch.equal(full["labels"], less["labels"])
        gone = (full["condition"][:, 0] > -1) & (less["condition"][:, 0] == -1)
        parts = set(full["labels"][gone].tolist())
        assert torch.equal(
            gone, torch.isin(full["labels"], torch.tensor(sorted(parts)))
        )  # a part in all frames or none
        assert less["condition"][:, 3:].add(1).sum() < full["condition"][:, 3:].add(1).sum()
    cuts = [dropped._draw_window(dropped.segments[0], 0, epoch, 4) for epoch in range(300)]
    shares = [len(dropped._choose_dropped(window, 3, range(100))) / 100 for window in cuts]
    assert np.mean(shares) == pytest.approx(0.3, abs=0.02)
    val = [clips("pose", folder, "val", limb_dropout=p).clip(0, 0, 4)["condition"] for p in (0.0, 0.9)]
    assert torch.equal(*val)


def test_frame_without_people_is_valid(root):
    clip = clips("pose", root("pose"), frames=8, limb_dropout=0.0).clip(0, 0, 8)
    assert clip["key"] == "pose/train/jack/0"
    drawn = (clip["condition"][:, 3:] > -1).flatten(1).any(1).tolist()
    assert drawn == [True] * 7 + [False]
    assert not clip["pose"][7].any()
