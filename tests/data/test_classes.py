"""The data set `classes`: attribute values, official lists, groups of clips, and errors."""

import shutil
import warnings

import cv2
import numpy as np
import pytest
import torch

from tests.helpers.paths import FIXTURES
from zoo.data.base import DATA_SETS, build_set
from zoo.data.decode import write_video
from zoo.data.sets.classes.find import find_classes, hold_out_by_class, source_of
from zoo.errors import ZooError
from zoo.testing import recorded_reads
from zoo.types import FIELDS

LISTS = {"train_list": "ucfTrainTestlist/trainlist01.txt", "val_list": "ucfTrainTestlist/testlist01.txt"}
pytestmark = pytest.mark.filterwarnings("ignore:.*has no video of 1 of the 3 classes")


@pytest.fixture
def root(tmp_path):
    return shutil.copytree(FIXTURES / "classes", tmp_path / "set")


def config(root, **settings):
    size = {"frames": 4, "height": 24, "width": 32, "flow": "none"}
    return DATA_SETS.config({"name": "classes", "root": str(root)} | size | settings)


def clips(root, split="train", fields=FIELDS, seed=0, **settings):
    return build_set(config(root, **settings), split, frozenset(fields), seed)


def names(root, split, **settings):
    return [segment.footage.video.name for segment in clips(root, split, **settings).segments]


def film(path, frames=12):
    write_video(path, (np.full((24, 32, 3), 8 * number, np.uint8) for number in range(frames)), 12.5)


# Classes


def test_folder_name_is_the_value_of_the_attribute(root):
    spec = config(root).spec()
    assert spec.fields == ("video", "attributes")
    assert spec.attributes == {"class": ("Archery", "HighJump", "Typing")}  # and not ucfTrainTestlist
    assert spec.constant == ("class",)
    assert config(root, attribute="action").spec().attributes == {"action": ("Archery", "HighJump", "Typing")}
    data = clips(root, attribute="action")
    seen = set()
    for index in range(len(data)):
        clip = data.clip(index, 0, 4)
        _, folder, _, _ = clip["key"].split("/")
        seen.add((folder, *clip["attributes"]["action"].tolist()))
        assert clip["attributes"]["action"].dtype == torch.int64
    assert seen == {("Archery", 0, 0, 0, 0), ("HighJump", 1, 1, 1, 1), ("Typing", 2, 2, 2, 2)}


def test_ids_do_not_depend_on_which_videos_are_usable(root):
    """A class whose videos are broken or too short keeps its id, because it may be usable in the other split."""
    (root / "Archery").rename(root / "Zumba")
    for path in (root / "HighJump").iterdir():
        path.write_text("no video " * 50)
    with pytest.warns(UserWarning, match="2 videos are skipped, 6 are used: .*HighJump.* cannot be read"):
        data = clips(root)
    assert data.spec.attributes["class"] == ("HighJump", "Typing", "Zumba")
    typing = [c for c in (data.clip(i, 0, 4) for i in range(len(data))) if "/Typing/" in c["key"]]
    assert [c["attributes"]["class"].tolist() for c in typing] == [[1] * 4] * 3


def test_folders_of_frames_are_videos(tmp_path):
    for video in ("run/a", "run/b", "sit/a"):
        (tmp_path / "set" / video).mkdir(parents=True)
        for number in range(10):
            picture = np.full((24, 32, 3), 20 * number, np.uint8)
            cv2.imwrite(str(tmp_path / "set" / video / f"{number}.png"), picture)
    data = clips(tmp_path / "set", frames=8)
    assert [segment.length for segment in data.segments] == [10, 10]
    assert data.spec.attributes == {"class": ("run", "sit")}
    assert [s.length for s in clips(tmp_path / "set", image_fps=25, frames=4).segments] == [5, 5]


def test_every_setting_is_read(root):
    """The data module reads labelled_fraction, batch_size and workers."""
    kind = DATA_SETS.find("classes").config
    with recorded_reads(kind) as read:
        for split in ("train", "val"):
            build_set(config(root), split, frozenset(FIELDS), 0).clip(0, 0, 4)
    assert set(kind.__dataclass_fields__) - read == {"labelled_fraction", "batch_size", "workers"}


# Splits


def test_clips_of_a_group_stay_together():
    """Groups as in UCF-101: five sources of one class, two of another, one of a third."""
    assert source_of("Archery/v_Archery_g01_c02.avi") == "Archery/v_Archery_g01"
    assert source_of("boxing/person01_boxing_d1_uncomp.avi") == "person01"  # who does every action
    groups = {"a": 5, "b": 2, "c": 1}
    videos = [f"{k}/v_{k}_g{g:02d}_c{c:02d}.avi" for k, n in groups.items() for g in range(1, n + 1) for c in (1, 2, 3)]
    for share, held in ((0.01, (1, 1)), (0.2, (1, 1)), (0.4, (2, 1)), (0.9, (4, 1))):
        splits = hold_out_by_class(videos, share)
        assert set(splits) == set(videos)
        by_group = {}
        for name, split in splits.items():
            by_group.setdefault(source_of(name), set()).add(split)
        assert all(len(each) == 1 for each in by_group.values())
        val = [group for group, each in by_group.items() if each == {"val"}]
        assert (sum(g.startswith("a/") for g in val), sum(g.startswith("b/") for g in val)) == held
        assert not any(group.startswith("c/") for group in val)


def test_share_of_each_class_is_held_out(root):
    train, val = names(root, "train"), names(root, "val")
    assert set(train) | set(val) == {path.relative_to(root).as_posix() for path in root.rglob("*.avi")}
    assert set(train) & set(val) == set()
    assert {source_of(name) for name in train} & {source_of(name) for name in val} == set()
    assert {name.split("/")[0] for name in val} == {"Archery", "HighJump"}
    assert {name.split("/")[0] for name in train} == {"Archery", "HighJump", "Typing"}
    assert names(root, "train") == train
    assert sorted(names(root, "train", frames=12) + names(root, "val", frames=4)) == sorted(train + val)


def test_lists_define_the_splits(root):
    train, val = names(root, "train", **LISTS), names(root, "val", **LISTS)
    assert train == [f"Archery/v_Archery_g0{g}.avi" for g in ("2_c01", "2_c02", "3_c01")] + [
        "HighJump/v_HighJump_g02_c01.avi"
    ]
    assert val == ["Archery/v_Archery_g01_c01.avi", "Archery/v_Archery_g01_c02.avi",
                   "HighJump/v_HighJump_g01_c01.avi", "Typing/v_Typing_g01_c01.avi"]  # fmt: skip
    for one in LISTS:
        assert (names(root, "train", **{one: LISTS[one]}), names(root, "val", **{one: LISTS[one]})) == (train, val)


def test_lists_are_matched_regardless_of_suffix_and_spacing(root):
    (root / "HighJump/v_HighJump_g02_c01.avi").rename(root / "HighJump/v_HighJump_g02_c01.mp4")
    film(root / "HighJump/long jump.mp4")
    (root / "a.txt").write_text("\n./HighJump/v_HighJump_g02_c01.avi 2\r\n\nHighJump\\long jump.mp4  2\n\n")
    assert names(root, "train", train_list=str(root / "a.txt")) == [
        "HighJump/long jump.mp4",
        "HighJump/v_HighJump_g02_c01.mp4",
    ]


def test_missing_names_of_a_list_are_reported(root):
    (root / "a.txt").write_text("Archery/v_Archery_g02_c01.avi 1\nArchery/v_Archery_g09_c01.avi 1\n")
    with pytest.warns(UserWarning, match="were not found") as caught:
        assert names(root, "train", train_list="a.txt", val_list=LISTS["val_list"]) == ["Archery/v_Archery_g02_c01.avi"]
    text = " ".join(str(each.message) for each in caught)
    assert "1 of 2 names in data.train_list=a.txt were not found: Archery/v_Archery_g09_c01.avi." in text
    assert "3 videos are in no list and are not used." in text
    assert "`train` has no video of 2 of the 3 classes: HighJump, Typing." in text


# Errors and warnings


def test_videos_outside_class_folders_are_named(root):
    film(root / "trailer.mp4")
    with pytest.warns(UserWarning, match=r"Skipped, because they are in no class's folder: trailer.mp4\."):
        assert "trailer.mp4" not in names(root, "train")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (root / "trailer.mp4").unlink()
        names(root, "train")


def both(root):
    (root / "a.txt").write_text("Archery/v_Archery_g02_c01.avi\nTyping/v_Typing_g01_c01.avi")


def above(root):
    inner = root / "UCF-101"
    inner.mkdir()
    for name in ("Archery", "HighJump", "Typing"):
        (root / name).rename(inner / name)


def flat(root):
    for path in root.rglob("*.avi"):
        path.rename(root / path.name)


def empty(root):
    for path in root.rglob("*.avi"):
        path.unlink()


def single(root):
    for name in ("Archery", "HighJump"):
        shutil.rmtree(root / name)


WRONG = [
    (both, {"train_list": "a.txt", "val_list": LISTS["val_list"]},
     r"1 videos are in both data.train_list=a.txt and data.val_list=ucf.*: Typing/v_Typing_g01_c01.avi\. Remove each"),
    (lambda r: (r / "a.txt").write_text("x/y.avi 1\n"), {"val_list": "a.txt"},
     r"data.val_list=a.txt names no video in .*It begins with x/y.avi; the root has Archery/v_Archery_g01_c01.avi"),
    (lambda r: None, {"train_list": "nope.txt"}, r"data.train_list=nope.txt: there is no such file. Searched: nope"),
    (lambda r: (r / "a.txt").write_bytes(b"\xff\xfe\x00"), {"train_list": "a.txt"}, r"cannot be read as a list"),
    (above, {}, r"contains a single folder, UCF-101, with 3 folders of videos.*type data.root=.*/UCF-101"),
    (flat, {}, r"no folder of videos per class. It takes <root>/<class>/<video>.*v_Typing.*data=folder data.root="),
    (empty, {}, r"contains no folder of videos per class.*such data, type: python -m zoo.data.prepare classes"),
    (lambda r: shutil.rmtree(r), {}, r"there is no such folder"),
    (lambda r: None, {"root": ""}, r"data=classes needs the folder with the videos.*<root>/<class>/<video>"),
    (lambda r: None, {"attribute": ""}, r"data.attribute is empty"),
    (lambda r: None, {"frames": 13}, r"None of the 8 videos.*shorter than a clip: 12 frames at data.fps=12.5"),
    (lambda r: None, {"condition": "edgs"}, r"Did you mean `edges`"),
    (single, {}, r"is left for `val`: a class with a single video, .*is for training only"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "settings", "message"), WRONG, ids=range(len(WRONG)))
def test_invalid_files_and_settings_raise(root, damage, settings, message):
    damage(root)
    with pytest.raises(ZooError, match="(?s)" + message):
        find_classes(config(**{"root": root} | settings)).videos_for("val")
