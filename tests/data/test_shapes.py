"""Shape motion: paths worked out by hand, exact truth, statistics of MoCoGAN's clips, and reading its strips."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from zoo.data.base import build_set
from zoo.data.selection import FIRST, SPREAD
from zoo.data.sets.shapes.config import CARD, ShapesConfig
from zoo.data.sets.shapes.names import ATTRIBUTES, PATH_FRAMES
from zoo.data.sets.shapes.paths import bernstein_basis, draw_path
from zoo.data.sets.shapes.published import split_of
from zoo.data.sets.shapes.render import Rendering, Scene, draw_mask
from zoo.data.transforms import to_uint8
from zoo.errors import ZooError
from zoo.flow.warp import warp

ALL = CARD.fields
FOUR = list(ATTRIBUTES)


def open_split(split="val", fields=ALL, seed=0, **settings):
    return build_set(ShapesConfig(**settings), split, frozenset(fields), seed)


# ----------------------------------------------------------------------------------------------------------- paths


class Middle:
    """A random generator whose every draw is in the middle of its range."""

    def uniform(self, low, high, size=None):
        return (low + high) / 2 if size is None else np.full(size, (low + high) / 2)


def test_basis_is_that_of_bernstein():
    basis = bernstein_basis(5)
    assert basis[0].tolist() == [1, 0, 0, 0, 0]
    assert basis[2].tolist() == [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]
    assert basis.sum(1) == pytest.approx(np.ones(5))


@pytest.mark.parametrize("motion", [0, 1])
def test_path_of_a_square_in_the_middle(motion):
    """Size 10: the range is 1 to 52. It starts at 52 and ends at 1; control values between are 27. The other coordinate
    begins and ends at 26, the middle, rounded to even."""
    path = draw_path(Middle(), motion, 10, 64, 64)
    assert path.shape == (PATH_FRAMES, 2)
    across, sideways = path[:, motion], path[:, 1 - motion]
    assert (across[0], across[-1]) == (52, 1)
    # at t = 1/31: 52 (30/31)^4 + 27 (1 - (30/31)^4 - (1/31)^4) + (1/31)^4 = 48.9
    assert across[1] == 48
    assert set(sideways.tolist()) == {26}
    assert (np.diff(across) <= 0).all()


def test_every_path_crosses_the_frame_and_returns_sideways():
    random = np.random.default_rng(0)
    for number in range(400):
        motion, size = number % 2, 8 + 2 * (number % 4)
        path = draw_path(random, motion, size, 64, 64)
        across, sideways = path[:, motion], path[:, 1 - motion]
        assert (across[0], across[-1]) == (62 - size, 1)
        assert sideways[0] == sideways[-1]
        assert path.min() >= 1
        assert path.max() <= 62 - size


def test_statistics_are_those_of_the_published_clips():
    """Numbers of the 8,000 published clips: mean speed 2.072 px a frame, fastest step 4.55 px on average, 89.1 % never
    turn back, 30.0 px of sideways motion; the standard error of 4,000 clips is at most a third of the tolerance."""
    random = np.random.default_rng(1)
    paths = [draw_path(random, 0, 8 + 2 * (number % 4), 64, 64) for number in range(4000)]
    steps = np.diff(np.stack(paths), axis=1)
    assert np.hypot(*np.moveaxis(steps, -1, 0)).mean() == pytest.approx(2.072, abs=0.015)
    assert np.abs(steps).max((1, 2)).mean() == pytest.approx(4.549, abs=0.06)
    assert (steps[..., 0] <= 0).all(1).mean() == pytest.approx(0.891, abs=0.016)
    assert np.abs(steps[..., 1]).sum(1).mean() == pytest.approx(30.0, abs=0.7)
    assert np.abs(steps).max() == 7


# ---------------------------------------------------------------------------------------------------------- truth


def test_masks():
    assert draw_mask(0, 10).all()
    assert ["".join(".#"[int(on)] for on in row) for row in draw_mask(1, 8)] == [
        ".#####..",
        "#######.",
        "#######.",
        "########",
        "#######.",
        "#######.",
        ".#####..",
        "...#....",
    ]
    assert [int(draw_mask(1, size).sum()) for size in (8, 10, 12, 14)] == [47, 79, 111, 151]  # of the published discs


@pytest.mark.parametrize(("height", "width", "step"), [(64, None, 2), (32, 48, 1), (128, 128, 2)])
def test_truth_explains_every_pixel(height, width, step):
    clips = open_split(height=height, width=width, step=step, attributes=FOUR)
    for index in range(12):
        clip = clips.clip(index, 0, 16)
        video, shown = clip["video"], clip["instances"] > 0
        visible = clip["visibility"].bool().expand_as(video[1:])
        assert torch.equal(warp(video[:-1], clip["flow"])[visible], video[1:][visible])
        assert visible.float().mean() > 0.9
        assert torch.equal(video.movedim(1, -1)[~shown].unique(), torch.tensor([-1.0]))
        ids = {name: int(values[0]) for name, values in clip["attributes"].items()}
        assert clip["labels"].unique().tolist() == [0, ids["shape"] + 1]
        colour = video[0, :, shown[0]][:, 0]
        assert ids["colour"] == int((colour > 0).float() @ torch.tensor([4.0, 2.0, 1.0]))
        rows, columns = shown[0].any(1).nonzero().flatten(), shown[0].any(0).nonzero().flatten()
        side = round((8 + 2 * ids["size"]) * min(height, width or height) / 64 / 2) * 2
        assert len(rows) == len(columns) == side
        centre = [float(place[0] + (side - 1) / 2) for place in (columns, rows)]
        assert clip["pose"][0, 0].tolist() == [*centre, 1]
        moved = clip["pose"][-1, 0] - clip["pose"][0, 0]
        assert moved[1 - ids["motion"]] < 0  # up is a smaller y, left a smaller x


def test_visibility_is_zero_where_the_shape_was():
    scene = Scene(1, 0, 0, np.array([9, 9, 9], np.uint8), np.array([[1, 3], [1, 1]]), 2)
    rendering = Rendering(scene, range(2), 4, 6)
    assert rendering.instances[:, 1].tolist() == [[0, 0, 0, 1, 1, 0], [0, 1, 1, 0, 0, 0]]
    assert rendering.flow[0, :, 1].tolist() == [[0, 2, 2, 0, 0, 0], [0, 0, 0, 0, 0, 0]]
    assert rendering.visibility[0, 0, 1].tolist() == [1, 1, 1, 0, 0, 1]


def test_splits_seeds_and_epochs_have_clips_of_their_own():
    train, other = open_split("train"), open_split("train", seed=1)
    clips = [train.clip(0, 0, 16), train.clip(0, 1, 16), train.clip(1, 0, 16), other.clip(0, 0, 16)]
    clips += [open_split(split).clip(0, 0, 16) for split in ("val", "test")]
    assert len({clip["key"] for clip in clips}) == len({clip["video"].numpy().tobytes() for clip in clips}) == 6
    assert len(train) == 8000
    assert len(open_split("val")) == len(open_split("test")) == 1000
    assert ShapesConfig().selection == FIRST


def test_training_clips_of_half_a_path_begin_at_a_random_frame():
    starts = {open_split("train", ()).clip(0, epoch, 8)["key"].rpartition("/")[2] for epoch in range(200)}
    assert starts == {str(start) for start in range(18)}  # 8 frames at a step of 2 take 15 of 32
    assert open_split("val", ()).clip(3, 0, 8)["key"] == "shapes/val-000003/0"


def test_attributes_are_chosen():
    assert ShapesConfig().spec().attributes == {"motion": ("up", "left"), "shape": ("square", "disc")}
    assert ShapesConfig(attributes=["colour"]).spec().constant == ("colour",)
    assert "attributes" not in ShapesConfig(attributes=[]).spec().fields
    assert "attributes" not in open_split(attributes=[]).clip(0, 0, 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 32}, r"32 frames at data.step=2 take 63 .* cross the frame in 32. Try: frames=16 or data.step=1"),
        ({"frames": 33, "step": 1}, r"Try: frames=32$"),
        ({"step": 0}, "data.step is 0, but at least 1 is required"),
        ({"attributes": ["colour", "form"]}, "data.attributes=form is not a choice"),
        ({"attributes": ["shape", "shape"]}, "names an attribute twice"),
        ({"root": "x", "height": 32}, "data.height=32 .* published strips .* Type data.height=64"),
        ({"fps": 0}, "data.fps is 0, but at least 0.001 is required"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ZooError, match=message):
        ShapesConfig(**settings)


def test_a_longer_clip_than_a_path_is_refused():
    with pytest.raises(ZooError, match="frames=16"):
        open_split().clip(0, 0, 17)


# --------------------------------------------------------------------------------------------------------- strips


def write_strips(root: Path, count: int) -> list[Scene]:
    """Strips of drawn shapes in the published form, RGBA."""
    random, scenes = np.random.default_rng(0), []
    for number in range(count):
        motion, shape, size = number % 2, number // 2 % 2, number // 4 % 4
        side = 8 + 2 * size
        colour = random.integers(1, 256, 3).astype(np.uint8)
        scenes.append(Scene(motion, shape, size, colour, draw_path(random, motion, side, 64, 64), side))
        write_strip(root / str(motion) / f"{number:08d}.png", Rendering(scenes[-1], range(32), 64, 64).video)
    return scenes


def write_strip(path: Path, video: np.ndarray) -> None:
    strip = np.concatenate(list(video), axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(strip, cv2.COLOR_RGB2BGRA))


def test_strips_are_read_with_their_truth(tmp_path):
    scenes = write_strips(tmp_path, 40)
    names = {split: [] for split in ("train", "val", "test")}
    for split, seen in names.items():
        clips = open_split(split, root=str(tmp_path), step=1, attributes=FOUR)
        for index in range(len(clips)):
            clip = clips.clip(index, 0, 32)
            folder, _, number = clip["key"].split("/")[1].partition("-")
            scene = scenes[int(number)]
            seen.append(number)
            assert folder == str(scene.motion)
            assert np.array_equal(to_uint8(clip["video"].numpy()), Rendering(scene, range(32), 64, 64).video)
            assert {name: int(ids[5]) for name, ids in clip["attributes"].items()} == scene.attributes
            assert ("content" in clip) == (split != "train")
            assert set(clip) - {"content"} == {*ALL, "fps", "key"}
    assert sorted(name for found in names.values() for name in found) == [f"{number:08d}" for number in range(40)]
    assert all(split_of(number) == split for split, found in names.items() for number in found)
    assert len(names["train"]) > len(names["val"]) > 0
    assert ShapesConfig(root=str(tmp_path)).selection == SPREAD
    assert ShapesConfig(root=str(tmp_path)).shaping()["source"] == "published strips"


def test_motion_is_read_from_the_folder_not_from_its_place(tmp_path):
    write_strips(tmp_path, 40)
    (tmp_path / "0").rename(tmp_path / "up")  # sorts behind 1
    clips = open_split("train", root=str(tmp_path))
    for index in range(len(clips)):
        clip = clips.clip(index, 0, 16)
        assert int(clip["attributes"]["motion"][0]) == (0 if clip["key"].startswith("shapes/up") else 1)


def test_bad_strips(tmp_path):
    with pytest.raises(ZooError, match="there is no such folder"):
        len(open_split(root=str(tmp_path / "none")))
    (tmp_path / "2").mkdir()
    with pytest.raises(ZooError, match=r"contains no strips of either motion. Expected: <root>/0/.* there: 2/"):
        len(open_split(root=str(tmp_path)))
    [scene] = write_strips(tmp_path, 1)
    with pytest.raises(ZooError, match="no strips of one motion"):
        len(open_split(root=str(tmp_path)))
    good = Rendering(scene, range(32), 64, 64).video
    two = good.copy()
    two[3, 40:43, 40:43] = 255
    wrong = {
        "short": (good[:31], "is 1984x64 pixels .* data=strips"),
        "two": (two, "does not show a single square or disc"),
        "empty": (np.zeros_like(good), "does not show a single"),
        "grey": (np.full_like(good, 90), "does not show a single"),
    }
    for name, (video, message) in wrong.items():
        root = tmp_path / name
        for number in range(40):
            write_strip(root / str(number % 2) / f"{number:03d}.png", video)
        with pytest.raises(ZooError, match=message):
            open_split("train", root=str(root)).clip(0, 0, 16)
