"""What the names of files decide: order, pairs, frames, splits, and whether a file is one that was seen before."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.data.base import DATA_SETS, build_set
from zoo.data.sequences.copies import find_copies, find_links
from zoo.data.sequences.files import files_in, sort_naturally, stamp_of
from zoo.data.sequences.find import find_videos, walk_once
from zoo.data.sequences.frame_names import choose_frames
from zoo.data.sequences.pairing import match_numbers, pair_files
from zoo.data.sequences.sources import source_of
from zoo.data.sequences.split import split_by_source, split_groups
from zoo.data.transforms import cover
from zoo.errors import ZooError


def paths(*names):
    return [Path("folder", name) for name in names]


def picture(path, value, shape=(32, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    "names",
    [
        ("2.png", "10.png"),
        ("frame0.png", "Frame1.PNG", "frame2.png", "FRAME3.png"),
        ("f_0.0.png", "f_0.04.png", "f_0.1.png", "f_0.25.png", "f_1.0.png", "f_1.05.png"),
        ("t0.0.png", "t0.25.png", "t0.5.png", "t0.75.png", "t1.0.png"),
        ("take1.1.png", "take1.2.png", "take1.10.png", "take2.1.png"),
        ("1.001.png", "1.002.png", "1.010.png"),
    ],
)
def test_files_are_in_natural_order(names):
    assert sort_naturally(sorted(paths(*names))) == paths(*names)


@pytest.mark.parametrize(
    ("frames", "maps"),
    [
        (("1.jpg", "2.jpg", "10.jpg"), ("1.png", "2.png", "10.png")),
        (("0001.jpg", "0002.jpg"), ("1.png", "2.png")),
        (("7.jpg", "8.jpg"), ("0007_keypoints.json", "0008_keypoints.json")),
        (
            ("x_000000_000009_leftImg8bit.png", "x_000000_000010_leftImg8bit.png"),
            ("x_000000_000009_gtFine_labelIds.png", "x_000000_000010_gtFine_labelIds.png"),
        ),
        (("only.jpg",), ("only_map.png",)),
    ],
)
def test_files_are_paired_by_name(frames, maps):
    paired = pair_files({"frames": paths(*frames), "labels": paths(*reversed(maps))}, "frames")
    assert paired == {"frames": tuple(paths(*frames)), "labels": tuple(paths(*maps))}


def test_files_without_partner_are_named():
    frames = paths(*(f"{n}.png" for n in range(6) if n != 4))
    maps = paths(*(f"{n}.png" for n in range(6) if n != 2))
    with pytest.raises(ZooError, match=r"2\.png of frames has no partner and 4\.png of labels has no partner"):
        pair_files({"frames": frames, "labels": maps}, "frames")
    with pytest.raises(ZooError, match=r"1\.png, 1\.jpg in folder have one name"):
        pair_files({"frames": paths("1.png", "1.jpg"), "labels": paths("1.png", "2.png")}, "frames")


def test_maps_of_a_video_file_have_no_gap():
    maps = paths(*(f"{n}.png" for n in range(1, 6)))
    match_numbers(5, maps, Path("a.mp4"), "labels")
    match_numbers(3, paths("0.png", "40.png", "80.png"), Path("a.mp4"), "labels")
    with pytest.raises(ZooError, match=r"4\.png follows 2\.png"):
        match_numbers(4, [maps[0], maps[1], *maps[3:]], Path("a.mp4"), "labels")
    with pytest.raises(ZooError, match="has 6 frames, but folder has 5 images of labels"):
        match_numbers(6, maps, Path("a.mp4"), "labels")


@pytest.mark.parametrize("missing", [(4, 8), (0, 11)])
def test_paired_refuses_a_shift_between_two_gaps(tmp_path, missing):
    """One map and one other frame are missing: as many of each, and those between are not each other's."""
    for sequence in ("s1", "s2"):
        for n in range(12):
            if n != missing[0]:
                picture(tmp_path / "train_A" / sequence / f"{n:04d}.png", n)
            if n != missing[1]:
                picture(tmp_path / "train_B" / sequence / f"{n:04d}.png", 10 * n)
    with pytest.raises(ZooError, match=f"{missing[0]:04d}.png of frames.*{missing[1]:04d}.png of labels"):
        DATA_SETS.config({"name": "paired", "root": str(tmp_path), "label_count": 12}).spec()


def test_images_that_are_no_frames_are_left_out():
    frames = [f"{n:03d}.png" for n in range(20)]
    assert choose_frames(paths(*frames, "cover.jpg")).left_out == (Path("folder/cover.jpg"),)
    assert choose_frames(paths(*frames, "cover.jpg")).files == tuple(paths(*frames))
    assert choose_frames(paths("a.png", "b.png")).files == tuple(paths("a.png", "b.png"))
    two_takes = paths(*(f"a{n}.png" for n in range(3)), *(f"b{n}.png" for n in range(3, 9)))
    assert choose_frames(two_takes).files == tuple(two_takes)
    with pytest.raises(ZooError, match=r"two kinds of images.*000_mask\.png and 000\.png"):
        choose_frames(paths(*frames, *(f"{n:03d}_mask.png" for n in range(20))))


def test_a_stamp_changes_with_names_sizes_and_times(tmp_path):
    first, second = picture(tmp_path / "1.png", 1), picture(tmp_path / "2.png", 200)
    for path in (first, second):
        os.utime(path, ns=(10**9, 10**9))
    stamps = [stamp_of(tmp_path)]
    first.rename(tmp_path / "3.png")
    stamps.append(stamp_of(tmp_path))
    os.utime(second, ns=(10**8, 10**8))  # older than all before
    stamps.append(stamp_of(tmp_path))
    assert len(set(stamps)) == 3


def test_cached_frames_follow_their_names(tmp_path):
    """Frames renamed in reverse order are read in their new order, not in that of the cache."""
    for n in range(6):
        picture(tmp_path / "a" / f"{n}.png", 40 * n)
        picture(tmp_path / "b" / f"{n}.png", 40 * n + 1)

    def levels():
        settings = {"name": "folder", "root": str(tmp_path), "frames": 6, "height": 32, "width": 48, "flow": "none"}
        video = build_set(DATA_SETS.config(settings), "train", frozenset(), 0).clip(0, 0, 6)["video"]
        return [round((each + 1) * 127.5) // 40 for each in video.mean(dim=(1, 2, 3)).tolist()]

    assert levels() == [0, 1, 2, 3, 4, 5]
    for folder in ("a", "b"):
        for n in range(6):
            (tmp_path / folder / f"{n}.png").rename(tmp_path / folder / f"t{5 - n}.png")
        for n in range(6):
            (tmp_path / folder / f"t{n}.png").rename(tmp_path / folder / f"{n}.png")
    assert levels() == [5, 4, 3, 2, 1, 0]


def test_a_folder_that_has_not_changed_is_listed_once(tmp_path, monkeypatch):
    picture(tmp_path / "1.png", 0)
    os.utime(tmp_path, ns=(10**9, 10**9))
    assert files_in(tmp_path) == [tmp_path / "1.png"]
    listed = []
    monkeypatch.setattr(Path, "iterdir", lambda self: listed.append(self) or iter(()))
    assert files_in(tmp_path) == [tmp_path / "1.png"]
    assert not listed
    os.utime(tmp_path)  # changed just now: the next change may have the same time, so it is listed every time
    assert files_in(tmp_path) == [] == files_in(tmp_path)
    assert len(listed) == 2


def test_links_are_followed_once(tmp_path):
    picture(tmp_path / "a" / "1.png", 0)
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "0").symlink_to("a")
    assert [folder for folder, _ in walk_once(tmp_path)] == [tmp_path, tmp_path / "a"]


def test_links_and_copies_are_found(tmp_path):
    video = picture(tmp_path / "a.png", 3)
    (tmp_path / "link.png").symlink_to("a.png")
    os.link(video, tmp_path / "hard.png")
    (tmp_path / "copy.png").write_bytes(video.read_bytes())
    other = picture(tmp_path / "other.png", 4)
    files = {path.name: [path] for path in (video, tmp_path / "link.png", tmp_path / "hard.png", other)}
    assert find_links(files) == {"link.png": "a.png", "hard.png": "a.png"}
    assert find_copies({"a": [video], "copy": [tmp_path / "copy.png"], "other": [other]}) == {"copy": "a"}


def test_copies_and_clips_of_one_source_are_in_one_split():
    names = [f"v{n}.mp4" for n in range(20)]
    splits = split_by_source(names, 0.5, 0.0, copies={f"v{n}.mp4": f"v{n - 1}.mp4" for n in range(1, 20, 2)})
    assert all(splits[f"v{n}.mp4"] == splits[f"v{n - 1}.mp4"] for n in range(1, 20, 2))
    assert set(splits.values()) == {"train", "val"}
    assert set(split_by_source(["a", "b"], 0.5, 0.0, copies={"b": "a"}).values()) == {"train", "val"}  # nothing else


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("Archery/v_Archery_g01_c02.avi", "Archery/v_Archery_g01"),
        ("walking/person07_walking_d2_uncomp.avi", "person07"),
        ("abseiling/-3B32lodo2M_000059_000069.mp4", "-3B32lodo2M"),
        ("brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_1.avi", "April_09"),
        ("mine/holiday_c1.mp4", "mine/holiday_c1.mp4"),
    ],
)
def test_sources_of_published_data_sets(name, source):
    assert source_of(name) == source


def test_a_source_in_two_groups_has_one_split():
    """KTH's people do every action: those held out are the same in each."""
    people = [f"person{n:02d}" for n in range(1, 26)]
    splits = split_groups({"boxing": people, "walking": people[:-1]}, 0.2, 0.2)
    assert [list(splits.values()).count(split) for split in ("train", "val", "test")] == [15, 5, 5]
    mixed = split_groups({"a": ["x", "y", "z"], "b": ["x", "u", "v", "w", "t"]}, 0.4, 0.0)
    assert [mixed[name] for name in "xyz"].count("val") == 1
    assert [mixed[name] for name in "xuvwt"].count("val") == 2


def test_strips_are_no_frames(tmp_path):
    for n in range(3):
        picture(tmp_path / "1" / f"{n}.png", n, (16, 256))
    with pytest.raises(ZooError, match=r"16 frames side by side.*data=strips"):
        DATA_SETS.config({"name": "folder", "root": str(tmp_path), "frames": 2}).spec()


def test_a_name_that_is_no_text_is_skipped_and_named(tmp_path):
    os.close(os.open(os.fsencode(tmp_path) + b"/caf\xe9.mp4", os.O_CREAT))
    found = find_videos(tmp_path)
    assert found.videos == []
    assert found.problems == [rf"{tmp_path}/caf\xe9.mp4 has a name that is not UTF-8. Rename it, e.g. with convmv."]


def test_cover_of_a_thin_image():
    assert cover(np.zeros((300, 1, 3), np.uint8), 16, 64).shape == (16, 64, 3)
