"""Training, validation and test: disjoint, and validation clips do not depend on the number of test clips."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from zoo.data.base import DATA_SETS, DataConfig, build_set
from zoo.data.decode import write_video
from zoo.data.sequences.split import assign_splits
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.errors import ZooError

SPLITS = ("train", "val", "test")


def video(path: Path, frames: int = 12) -> None:
    write_video(path, (np.full((24, 32, 3), 5 * number, np.uint8) for number in range(frames)), 12.5)


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((24, 32), np.uint8))


def config(name: str, root: Path, **settings) -> DataConfig:
    size = {"frames": 4, "height": 24, "width": 32, "flow": "none", "fps": 12.5}
    return DATA_SETS.config({"name": name, "root": str(root)} | size | settings)


def shown(config: DataConfig, split: str) -> set[tuple[str, int, int]]:
    """The video, first and last frame of every segment."""
    segments = build_set(config, split, frozenset(), 0).segments
    return {(each.footage.video.name, each.first, each.stop) for each in segments}


def test_names_are_assigned_by_checksum():
    names = [f"video{number}" for number in range(20)]
    splits = assign_splits(names, 0.2, 0.1)
    assert {split: list(splits.values()).count(split) for split in SPLITS} == {"train": 14, "val": 4, "test": 2}
    without = assign_splits(names, 0.2, 0.0)
    assert {n for n in names if splits[n] == "val"} == {n for n in names if without[n] == "val"}
    assert {n for n in names if splits[n] == "train"} < {n for n in names if without[n] == "train"}
    assert set(assign_splits(["a", "b"], 0.5, 0.4).values()) == {"train", "val"}  # one is always left for training


def test_puppets_have_test_clips_of_their_own():
    config = PuppetsConfig(height=16, width=16, view="person")
    clips = {split: build_set(config, split, frozenset(), 0) for split in SPLITS}
    assert len(clips["test"]) == len(clips["val"]) == 1000
    assert clips["test"].clip(3, 0, 2)["key"] == "puppets/test-000003/0"
    for split in ("train", "val"):
        assert not clips["test"].clip(3, 0, 2)["video"].equal(clips[split].clip(3, 0, 2)["video"])


@pytest.mark.parametrize(("name", "folders"), [("folder", 1), ("classes", 2), ("paired", 1)])
def test_a_share_of_the_videos_is_held_out_for_test(name, folders, tmp_path):
    for number in range(20):
        if name == "paired":
            for frame in range(4):
                for kind in "AB":
                    image(tmp_path / f"train_{kind}" / f"s{number:02d}" / f"{frame}.png")
        else:
            video(tmp_path / f"class{number % folders}" / f"v{number:02d}.mp4", frames=4)
    more = {"label_count": 1} if name == "paired" else {}
    three = {split: shown(config(name, tmp_path, test_share=0.2, **more), split) for split in SPLITS}
    assert {split: len(found) for split, found in three.items()} == {"train": 12, "val": 4, "test": 4}
    assert len(set().union(*three.values())) == 20
    plain = config(name, tmp_path, **more)
    assert shown(plain, "val") == three["val"]
    assert "test_share" not in plain.shaping()
    assert config(name, tmp_path, test_share=0.2, **more).shaping()["test_share"] == 0.2
    clip = build_set(config(name, tmp_path, test_share=0.2, **more), "test", frozenset(), 0).clip(0, 0, 4)
    assert clip["content"]  # as of validation clips
    with pytest.raises(ZooError, match=f"data={name} with data.test_share=0 has no test split.*data.test_share=0.1"):
        build_set(plain, "test", frozenset(), 0)


def test_a_single_video_is_split_in_time(tmp_path):
    video(tmp_path / "only.mp4", frames=50)
    parts = {split: shown(config("folder", tmp_path, test_share=0.1), split) for split in SPLITS}
    assert parts == {"train": {("only.mp4", 0, 35)}, "test": {("only.mp4", 35, 40)}, "val": {("only.mp4", 40, 50)}}
    assert shown(config("folder", tmp_path), "val") == parts["val"]
    with pytest.raises(ZooError, match="less than a clip of 4"):
        shown(config("folder", tmp_path, test_share=0.04), "test")
    with pytest.raises(ZooError, match="no test split"):
        shown(config("folder", tmp_path), "test")


def test_weizmann_splits_every_video_in_time(tmp_path):
    for person in ("daria", "eli"):
        video(tmp_path / f"{person}_walk.mp4", frames=30)
    settings = {"crop": "none", "fps": 12.5, "val_share": 1 / 3}
    parts = {split: shown(config("weizmann", tmp_path, test_share=0.2, **settings), split) for split in SPLITS}
    spans = {split: {(first, stop) for _, first, stop in found} for split, found in parts.items()}
    assert spans == {"train": {(0, 14)}, "test": {(14, 20)}, "val": {(20, 30)}}
    with pytest.raises(ZooError, match=r"no test split.*data.test_share=0.1"):
        shown(config("weizmann", tmp_path, **settings), "test")


def test_test_list_of_classes_leaves_the_rest_for_training_and_validation(tmp_path):
    names = [f"{kind}/v{number}.mp4" for kind in "ab" for number in range(5)]
    for name in names:
        video(tmp_path / name, frames=4)
    listed = {"a/v0.mp4", "b/v3.mp4"}
    (tmp_path / "test.txt").write_text("a/v0.mp4\nb/v3.mp4 2\n")
    found = {
        split: {name for name, _, _ in shown(config("classes", tmp_path, test_list="test.txt"), split)}
        for split in SPLITS
    }
    assert found["test"] == listed
    assert {len(found["val"]), len(found["train"])} == {2, 6}
    assert found["val"] | found["train"] | listed == set(names)
    (tmp_path / "train.txt").write_text("".join(f"{name}\n" for name in names if name not in listed | {"a/v4.mp4"}))
    both = config("classes", tmp_path, train_list="train.txt", test_list="test.txt")
    with pytest.warns(UserWarning, match="1 videos are in no list and are not used"):
        chosen = {split: {name for name, _, _ in shown(both, split)} for split in SPLITS}
    assert chosen["test"] == listed
    assert chosen["val"] | chosen["train"] == set(names) - listed - {"a/v4.mp4"}
    assert chosen["val"]
    for settings, said in (
        ({"test_list": "test.txt", "test_share": 0.1}, "Leave one of the two out"),
        ({"test_list": "test.txt", "val_list": "test.txt"}, "are in both data.val_list=test.txt and data.test_list"),
        ({"test_share": 0.9}, "data.test_share=0.9 must be below 1 - data.val_share, which is 0.8"),
    ):
        with pytest.raises(ZooError, match=said):
            shown(config("classes", tmp_path, **settings), "test")


def test_published_test_folders_are_the_test_split(tmp_path):
    for phase, count in (("train", 3), ("val", 1), ("test", 2)):
        for number in range(count):
            for frame in range(4):
                for kind in "AB":
                    image(tmp_path / f"{phase}_{kind}" / f"s{number}" / f"{frame}.png")
    settings = config("paired", tmp_path, label_count=1)
    assert {name for name, _, _ in shown(settings, "val")} == {"val/s0"}
    assert {name for name, _, _ in shown(settings, "test")} == {"test/s0", "test/s1"}
    with pytest.raises(ZooError, match="has a test split of its own"):
        shown(config("paired", tmp_path, label_count=1, test_share=0.3), "test")
    for kind in "AB":
        (tmp_path / f"val_{kind}").rename(tmp_path / f"other_{kind}")
    assert {name for name, _, _ in shown(settings, "val")} == {"test/s0", "test/s1"}  # there is no other
    with pytest.raises(ZooError, match="no test split"):
        shown(settings, "test")


def test_cityscapes_says_that_its_published_test_labels_are_withheld(tmp_path):
    for split in ("train", "val", "test"):
        for number in range(3 if split == "train" else 1):
            stem = f"bonn_00000{number}_000019"
            folder = tmp_path / "leftImg8bit" / split / "bonn"
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{stem}_leftImg8bit.png"), np.zeros((24, 32, 3), np.uint8))
            image(tmp_path / "gtFine" / split / "bonn" / f"{stem}_gtFine_labelIds.png")
    with pytest.raises(ZooError, match="publishes its own test frames without label maps"):
        shown(config("cityscapes", tmp_path, frames=1), "test")
    held_out = config("cityscapes", tmp_path, frames=1, test_share=0.3)
    assert len(shown(held_out, "test")) == 1
    assert {name.partition("/")[0] for name, _, _ in shown(held_out, "test")} == {"train"}
    assert len(shown(held_out, "train")) == 2


def test_data_sets_of_other_packages_have_no_test_split_unless_they_say_so():
    with pytest.raises(ZooError, match=re.escape("The data set `other` has no split `test`; it has train, val.")):
        build_set(DataConfig(name="other"), "test", frozenset(), 0)
