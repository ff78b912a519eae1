"""A resumed training finds the data with which it was begun, or says what differs."""

import shutil

import numpy as np
import pytest
from PIL import Image

from zoo.data.base import DATA_SETS
from zoo.errors import ZooError
from zoo.runs.files import DATA
from zoo.training.data_record import check_same_data, list_differences, write_record


@pytest.fixture
def root(tmp_path):
    for n in range(5):
        add(tmp_path / "data" / f"v{n}", n)
    return tmp_path / "data"


def add(folder, value):
    folder.mkdir(parents=True)
    for frame in range(3):
        Image.fromarray(np.full((16, 16, 3), 9 * value + frame, np.uint8)).save(folder / f"{frame}.png")


def config(root):
    return DATA_SETS.config({"name": "folder", "root": str(root), "frames": 3, "height": 16, "flow": "none"})


def test_data_that_moved_is_the_same(root, tmp_path):
    write_record(tmp_path, config(root))
    moved = shutil.move(root, tmp_path / "elsewhere")
    check_same_data(tmp_path, config(moved), False)
    check_same_data(tmp_path / "a run without a record", config(moved), False)


def test_new_videos_are_named_and_accepted_if_told(root, tmp_path):
    write_record(tmp_path, config(root))
    add(root / "w", 20)
    with pytest.raises(ZooError, match=r"videos added: 1 \(w\).*accept_changed_data=true"):
        check_same_data(tmp_path, config(root), False)
    check_same_data(tmp_path, config(root), True)
    check_same_data(tmp_path, config(root), False)


def test_a_changed_frame_is_found(root, tmp_path):
    write_record(tmp_path, config(root))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)).save(root / "v1" / "1.png")
    with pytest.raises(ZooError, match=r"videos with other files or another part in their split: 1 \(v1\)"):
        check_same_data(tmp_path, config(root), False)


def test_a_damaged_record_says_what_to_do(root, tmp_path):
    for content in ("", '{"train": []}', "[1]"):
        (tmp_path / DATA).write_text(content)
        with pytest.raises(ZooError, match="Delete it to resume without a check of the data"):
            check_same_data(tmp_path, config(root), False)


def test_differences_by_kind():
    before = {"train": {"a": "1", "b": "1", "c": "1"}, "val": {"d": "1"}}
    after = {"train": {"a": "1", "b": "2", "d": "1"}, "val": {"e": "1"}}
    assert list_differences(before, after) == [
        "videos added: 1 (e)",
        "videos missing: 1 (c)",
        "videos with other files or another part in their split: 1 (b)",
        "videos in another split: 1 (d)",
    ]
    assert list_differences(before, before) == []
