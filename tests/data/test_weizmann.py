"""The data set `weizmann`: names, the split in time, starts, the square around the person, and errors."""

import importlib.util
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from tests.helpers.paths import FIXTURES
from zoo.card import MODELS
from zoo.data.base import DATA_SETS, build_set
from zoo.data.decode import probe, read_frames
from zoo.data.sets.weizmann import crop
from zoo.data.sets.weizmann.crop import CroppedVideo, cut_square
from zoo.data.sets.weizmann.find import find_weizmann
from zoo.data.sets.weizmann.names import ACTIONS, PEOPLE
from zoo.data.sets.weizmann.person import centre_boxes, person_boxes
from zoo.data.transforms import cover, to_signed, to_uint8
from zoo.errors import ZooError
from zoo.testing import recorded_reads
from zoo.types import FIELDS

NAMES = ("bend/daria_bend", "run/lena_run1", "run/lena_run2", "walk/daria_walk", "walk/moshe_walk",
         "wave1/daria_wave1", "wave1/lena_wave1", "wave2/moshe_wave2")  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore:8 of the 93 videos")


def make_labelled():
    spec = importlib.util.spec_from_file_location("make_labelled", FIXTURES / "make_labelled.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A copy for tests that change no file, so results are cached across them."""
    return shutil.copytree(FIXTURES / "weizmann", tmp_path_factory.mktemp("weizmann") / "set")


@pytest.fixture
def root(tmp_path):
    return shutil.copytree(FIXTURES / "weizmann", tmp_path / "set")


def config(root, **settings):
    return DATA_SETS.config({"name": "weizmann", "root": str(root), "flow": "none"} | settings)


def clips(root, split="train", fields=FIELDS, seed=0, **settings):
    return build_set(config(root, **settings), split, frozenset(fields), seed)


def starts_of(data, frames=10, epoch=0):
    """First frame of every clip, by video."""
    found = {}
    for index in range(len(data)):
        video, _, start = data.clip(index, epoch, frames)["key"].removeprefix("weizmann/").rpartition("/")
        found.setdefault(video.removesuffix(".avi"), []).append(int(start))
    return found


def of_each(starts):
    return dict.fromkeys(NAMES, starts)


def test_the_committed_files_are_what_the_script_writes(tmp_path):
    script = make_labelled()
    script.main(tmp_path)
    for name in ("weizmann", "classes"):
        made, committed = (
            {p.relative_to(top / name) for p in (top / name).rglob("*.*")} for top in (tmp_path, FIXTURES)
        )
        assert made == committed
    for name in ("run/lena_run2", "wave1/lena_wave1"):
        made, committed = (read_frames(top / f"weizmann/{name}.avi", range(36)) for top in (tmp_path, FIXTURES))
        assert np.abs(made.astype(int) - committed).mean() < 1
    assert sum(path.stat().st_size for path in (FIXTURES / "weizmann").rglob("*.avi")) < 300_000


# Clips


def test_defaults_are_the_protocol(shared):
    default = DATA_SETS.config({"name": "weizmann"})
    assert (default.frames, default.fps, default.height, default.starts, default.crop) == (10, 25, 64, 20, "person")
    assert default.val_share == pytest.approx(1 / 3)
    spec = config(shared).spec()
    assert spec.fields == ("video", "attributes")
    assert (spec.frames, spec.height, spec.width, spec.fps) == (10, 64, 64, 25)
    assert spec.attributes == {"identity": PEOPLE, "action": ACTIONS}
    assert spec.constant == ("identity", "action")
    assert (len(PEOPLE), len(ACTIONS)) == (9, 10)
    assert config(shared, crop="none").spec().width == 80  # 180x144
    assert config(shared, crop="none", width=64).spec().width == 64


def test_settings_and_checks_import_no_torch(shared):
    program = (
        "import sys; from zoo.data.base import DATA_SETS\n"
        f"DATA_SETS.config({{'name': 'weizmann', 'root': '{shared}'}}).spec()\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_attributes_are_read_from_the_file_name(shared):
    by_name = {"bend/daria_bend": (0, 0), "walk/daria_walk": (0, 7), "walk/moshe_walk": (7, 7),
               "run/lena_run1": (5, 4), "run/lena_run2": (5, 4), "wave2/moshe_wave2": (7, 9)}  # fmt: skip
    data, seen = clips(shared, starts=1), set()
    for index in range(len(data)):
        clip = data.clip(index, 0, 10)
        name = clip["key"].split("/", 1)[1].removesuffix(".avi/0")
        seen.add(name)
        who = clip["attributes"]
        assert {key: (value.shape, value.dtype) for key, value in who.items()} == {
            "identity": ((10,), torch.int64),
            "action": ((10,), torch.int64),
        }
        assert len(who["identity"].unique()) == len(who["action"].unique()) == 1
        if name in by_name:
            assert (int(who["identity"][3]), int(who["action"][3])) == by_name[name]
    assert seen == set(NAMES)


def test_files_directly_in_the_root_give_the_same_clips(root, tmp_path):
    nested = [clips(root, starts=2).clip(3, 0, 10), clips(root, "val").clip(3, 0, 10)]
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in root.rglob("*.avi"):
        shutil.copy(path, flat / path.name)
    again = [clips(flat, starts=2), clips(flat, "val")]
    for clip, data in zip(nested, again, strict=True):
        wanted = clip["key"].split("/", 2)[2]
        same = next(c for c in (data.clip(i, 0, 10) for i in range(len(data))) if c["key"] == f"weizmann/{wanted}")
        assert torch.equal(same["video"], clip["video"])
        assert all(torch.equal(same["attributes"][k], clip["attributes"][k]) for k in ("identity", "action"))


# The split in time and the starts


@pytest.mark.parametrize(
    ("fps", "boundary", "length"),
    [(25, 24, 36), (12.5, 12, 18), (50, 48, 72)],
)
def test_the_first_two_thirds_are_for_training(shared, fps, boundary, length):
    settings = {"fps": fps, "frames": 4}
    train, val = (clips(shared, split, **settings) for split in ("train", "val"))
    assert len(train.segments) == len(val.segments) == 8
    for before, after in zip(train.segments, val.segments, strict=True):
        stored = before.footage.stored
        assert (before.first, after.stop) == (0, length)
        assert before.stop == after.first == boundary
        assert set(stored[: before.stop]) <= set(range(24))
        assert set(stored[after.first :]) <= set(range(24, 36))


def test_training_clips_start_at_twenty_evenly_spaced_frames(shared):
    twenty = [0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11, 12, 13, 13, 14]  # 14 k / 19, rounded
    data = clips(shared, fields=())
    assert len(data) == 160
    assert starts_of(data) == of_each(twenty)
    assert starts_of(data, epoch=5) == starts_of(clips(shared, fields=(), seed=9)) == starts_of(data)
    assert starts_of(clips(shared, fields=(), starts=3)) == of_each([0, 7, 14])
    assert starts_of(clips(shared, fields=(), starts=1)) == of_each([0])
    assert starts_of(clips(shared, fields=(), starts=None)) == of_each(list(range(15)))


def test_validation_clips_are_windows_of_the_last_third(shared):
    assert starts_of(clips(shared, "val", fields=())) == of_each([24])
    four = clips(shared, "val", fields=(), frames=4, starts=7)
    assert starts_of(four, 4) == of_each([24, 28, 32])
    shown = {f for start in (24, 28, 32) for f in range(start, start + 4)}
    assert shown == set(range(24, 36))


def test_clip_contains_the_frames_that_its_key_names(shared):
    clip = clips(shared, "val", crop="none").clip(1, 0, 10)
    assert clip["key"] == "weizmann/run/lena_run1.avi/24"
    frames = read_frames(shared / "run/lena_run1.avi", range(24, 34))
    expected = to_signed(np.stack([cover(frame, 64, 80) for frame in frames]))
    np.testing.assert_array_equal(clip["video"].numpy(), expected)
    assert clip["fps"] == 25


# The square around the person


@pytest.mark.parametrize("name", NAMES)
def test_square_contains_the_person(name):
    """In every frame; if the person leaves the frame, the visible part."""
    script = make_labelled()
    _, places = script.film(script.WEIZMANN.index(name), name)
    left, top, side = person_boxes(read_frames(FIXTURES / f"weizmann/{name}.avi", range(36))).T
    beyond = np.stack([left - places[:, 0], top - places[:, 1], places[:, 2] - left - side, places[:, 3] - top - side])
    assert beyond.max() <= 1
    person = max((places[:, 2] - places[:, 0]).max(), (places[:, 3] - places[:, 1]).max())
    assert side[0] < 1.5 * person
    assert len(set(top)) == len(set(side)) == 1
    assert np.abs(np.diff(left, n=2)).max() <= 2
    travels = name.partition("/")[0] in ("walk", "run")
    assert (np.ptp(left) > 80) == travels
    assert (np.ptp(left) == 0) == (not travels)


def test_video_without_motion_is_cropped_at_the_centre():
    frames = np.repeat(make_labelled().wall()[None], 12, axis=0)
    np.testing.assert_array_equal(person_boxes(frames), np.tile([18, 0, 144], (12, 1)))
    np.testing.assert_array_equal(centre_boxes(2, 144, 180), [[18, 0, 144]] * 2)


def test_square_beyond_the_frame_has_its_mean_colour():
    picture = np.arange(24, dtype=np.uint8).reshape(4, 6, 1).repeat(3, axis=2)
    mean = 12  # of 0 to 23, 11.5, rounded to even
    square = cut_square(picture, -1, 2, 3)[..., 0]
    np.testing.assert_array_equal(square, [[mean, 12, 13], [mean, 18, 19], [mean] * 3])
    np.testing.assert_array_equal(cut_square(picture, 4, -1, 3)[..., 1], [[mean] * 3, [4, 5, mean], [10, 11, mean]])
    np.testing.assert_array_equal(cut_square(picture, 2, 0, 4), picture[:, 2:])


def test_clips_are_cropped_to_the_square(shared):
    for choice, (left, top, side) in (("centre", (18, 0, 144)), ("person", (None, None, None))):
        data = clips(shared, "val", crop=choice)
        clip, footage = data.clip(1, 0, 10), data.segments[1].footage
        if choice == "person":
            left, top, side = footage.video.boxes[26]
            assert side < 90
        frame = read_frames(shared / "run/lena_run1.avi", [26])[0]
        np.testing.assert_array_equal(
            to_uint8(clip["video"].numpy())[2], cover(cut_square(frame, left, top, side), 64, 64)
        )


def test_boxes_are_computed_once(root, monkeypatch):
    first = clips(root).clip(0, 0, 10)["video"]
    monkeypatch.setattr(crop, "person_boxes", lambda frames: pytest.fail("boxes were computed again"))
    assert torch.equal(clips(root).clip(0, 0, 10)["video"], first)
    smaller = clips(root, height=32).clip(0, 0, 10)["video"]  # other frames, the same boxes
    assert smaller.shape == (10, 3, 32, 32)
    os.utime(root / "bend/daria_bend.avi", (1, 1))
    with pytest.raises(pytest.fail.Exception, match="boxes were computed again"):
        clips(root).clip(0, 0, 10)


def test_stamps_of_crops_differ(shared):
    found = find_weizmann(config(shared))
    video, cache = found.videos[0], None
    stamps = {CroppedVideo(video, kind, cache).stamp_of("frames") for kind in ("person", "centre")}
    assert len({*stamps, video.stamp_of("frames")}) == 3


# Settings


def test_every_setting_is_read(shared):
    """The data module reads labelled_fraction, batch_size and workers."""
    kind = DATA_SETS.find("weizmann").config
    with recorded_reads(kind) as read:
        settings = config(shared, condition="auto").suited_to(MODELS.find("vid2vid").card)
        assert settings.condition == "edges"
        for split in ("train", "val"):
            build_set(settings, split, frozenset(FIELDS), 0).clip(0, 0, 10)
    assert set(kind.__dataclass_fields__) - read == {"labelled_fraction", "batch_size", "workers"}


def test_condition_and_flow_are_computed_from_the_square(shared):
    clip = clips(shared, "val", condition="edges", flow="dis").clip(0, 0, 10)
    assert (clip["condition"].shape, clip["flow"].shape) == ((10, 1, 64, 64), (9, 2, 64, 64))


# Errors and warnings


@pytest.mark.filterwarnings("default")
def test_missing_videos_are_named(root):
    with pytest.warns(UserWarning, match=r"8 of the 93 videos.*Missing: denis, eli.*; jack.*; daria_run, .*lena_walk"):
        clips(root)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for person in PEOPLE:
            for action in ACTIONS:
                shutil.copy(root / "bend/daria_bend.avi", root / f"{person}_{action}.avi")
        for name in NAMES:
            (root / f"{name}.avi").unlink()
        clips(root)


def test_video_too_short_for_a_split_is_skipped_with_a_warning(root):
    script = make_labelled()
    script.write(root / "walk/moshe_walk.avi", script.film(0, "a_walk", 24)[0])
    assert probe(root / "walk/moshe_walk.avi").frames == 24
    with pytest.warns(UserWarning, match=r"1 of 8 videos are skipped in `val`.* 10 frames: walk/moshe_walk.avi \(8\)"):
        val = clips(root, "val")
    assert len(val.segments) == 7
    assert len(clips(root).segments) == 8


def move(root, old, new):
    (root / new).parent.mkdir(exist_ok=True)
    (root / old).rename(root / new)


WRONG = [
    (lambda r: move(r, "walk/daria_walk.avi", "walk/dario_walk.avi"), {},
     r"walk/dario_walk.avi is not named <person>_<action>.avi.*Did you mean `daria_walk`\? People: daria, .*Rename"),
    (lambda r: move(r, "walk/daria_walk.avi", "daria_walk3.avi"), {}, r"daria_walk3.avi is not named <person>"),
    (lambda r: move(r, "walk/daria_walk.avi", "walk/daria_run.avi"), {}, r"named `run` but is in the folder `walk`"),
    (lambda r: shutil.copy(r / "walk/daria_walk.avi", r / "daria_walk.avi"), {}, r"are the same video of Weizmann"),
    (lambda r: [path.unlink() for path in r.rglob("*.avi")], {}, r"contains no video\. It takes .*walk/daria_walk.avi"),
    (lambda r: [path.unlink() for path in r.rglob("*.avi")] + [(r / "walk.zip").write_bytes(b"")], {},
     r"contains no video, but walk.zip. Type: python -m zoo.data.prepare weizmann root="),
    (lambda r: shutil.rmtree(r), {}, r"there is no such folder"),
    (lambda r: None, {"root": ""}, r"data=weizmann needs the folder with the videos: type data.root=<folder>"),
    (lambda r: None, {"frames": 25}, r"No video .* in `train`. The longest, .* has 24 .*type data.frames=24"),
    (lambda r: None, {"crop": "persn"}, r"data.crop=persn is not a choice. Did you mean `person`"),
    (lambda r: None, {"starts": 0}, r"data.starts is 0, but at least 1 is required. Try: data.starts=20"),
    (lambda r: None, {"condition": "edgs"}, r"Did you mean `edges`"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "settings", "message"), WRONG, ids=range(len(WRONG)))
def test_invalid_files_and_settings_raise(root, damage, settings, message):
    damage(root)
    with pytest.raises(ZooError, match=message):
        config(**{"root": root} | settings).spec()


def test_too_long_validation_clips_raise(shared):
    with pytest.raises(ZooError, match=r"No video .* in `val`.* has 12 .*type evaluation.frames=12"):
        clips(shared, "val", frames=13)


@pytest.mark.filterwarnings("default")
def test_broken_video_is_skipped_with_a_warning(root):
    (root / "walk/daria_walk.avi").write_text("no video " * 50)
    with pytest.warns(UserWarning, match=r"daria_walk.avi cannot be read"):
        data = clips(root)
    assert len(data.segments) == 7
