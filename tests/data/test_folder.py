"""The data set `folder`, on videos whose grey level states the number of the frame."""

import json
import os
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from zoo.data import decode
from zoo.data.base import DATA_SETS, build_set
from zoo.data.decode import write_video
from zoo.data.sequences import files
from zoo.data.sequences.cache import ArrayCache, Origin, cache_folder
from zoo.data.sequences.chunked_array import CHUNK_LENGTH
from zoo.data.sequences.footage import Footage
from zoo.data.sets.folder import catalogue, footage
from zoo.data.sets.folder.catalogue import open_catalogue
from zoo.data.sets.folder.config import CARD
from zoo.data.sets.folder.footage import nearest_frames
from zoo.errors import ZooError
from zoo.flow.warp import warp

STEP = 3
EVERYTHING = CARD.fields - {"video"}


def numbered(number, height=32, width=48, mark=0):
    frame = np.full((height, width, 3), 10 + STEP * number, np.uint8)
    frame[:1, :mark] += 3
    return frame


def numbers(video):
    """Decode (T, 3, H, W) in [-1, 1] to the numbers of its frames."""
    levels = (video.mean(dim=(1, 2, 3)) + 1) * 127.5
    return ((levels - 10) / STEP).round().int().tolist()


def film(path, count=30, fps=25, **size):
    write_video(path, (numbered(number, **size) for number in range(count)), fps)
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    for mark, name in enumerate(("a.mp4", "b.mkv", "c.mov", "sub/d.mp4", "sub/é.mp4")):
        film(folder / name, mark=mark)  # a mark in a corner: no two have one content
    return folder


@pytest.fixture
def root(films, tmp_path):
    """Five videos of 30 frames at 25 fps, two of them in a subfolder."""
    return shutil.copytree(films, tmp_path / "videos")


def config(root, **settings):
    size = {"frames": 8, "height": 32, "width": 48, "fps": 25}
    return DATA_SETS.config({"name": "folder", "root": str(root), "flow": "none"} | size | settings)


def clips(root, split="train", fields=EVERYTHING, seed=0, **settings):
    return build_set(config(root, **settings), split, frozenset(fields), seed)


def all_clips(data, epoch=0, frames=8):
    return [data.clip(index, epoch, frames) for index in range(len(data))]


# Clips


def test_spec_matches_the_clips(root):
    settings = {"condition": "edges", "flow": "dis", "width": None, "height": 40}
    spec = config(root, **settings).spec()
    assert (spec.frames, spec.height, spec.width, spec.fps) == (
        8,
        40,
        64,
        25,
    )  # 60 wide, rounded to a multiple of 16
    assert spec.fields == ("video", "condition", "flow", "visibility")
    assert spec.condition_channels == 1
    clip = clips(root, "val", **settings).clip(0, 0, 8)
    assert {name: tuple(value.shape) for name, value in clip.items() if name in spec.fields} == {
        "video": (8, 3, 40, 64),
        "condition": (8, 1, 40, 64),
        "flow": (7, 2, 40, 64),
        "visibility": (7, 1, 40, 64),
    }
    assert all(clip[name].dtype == torch.float32 for name in spec.fields)
    assert clip["fps"] == 25
    assert clip["video"].min() >= -1


def test_only_requested_fields_are_provided(root):
    data = clips(root, fields={"condition"}, condition="edges", flow="dis")
    assert set(data.clip(0, 0, 8)) == {"video", "fps", "key", "condition"}


def test_frames_are_resampled_by_time(root):
    assert numbers(clips(root, "val", fps=12.5, frames=15).clip(0, 0, 15)["video"]) == list(range(0, 30, 2))
    assert numbers(clips(root, "val", fps=50, frames=8).clip(0, 0, 8)["video"]) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_nearest_frames_on_a_small_example():
    times = np.array([0, 0.1, 0.2, 0.6, 0.7])
    assert nearest_frames(times, 10, 8).tolist() == [0, 1, 2, 2, 2, 3, 3, 4]  # 0.4 is a tie: the earlier frame
    assert nearest_frames(np.arange(6) / 25, 25, 6).tolist() == [0, 1, 2, 3, 4, 5]


def test_key_names_the_video_and_first_frame_of_the_clip(root):
    for clip in all_clips(clips(root)) + all_clips(clips(root, "val")):
        prefix, _, start = clip["key"].rpartition("/")
        assert (root / prefix.removeprefix("folder/")).is_file()
        assert numbers(clip["video"]) == list(range(int(start), int(start) + 8))


def test_training_clips_depend_on_seed_epoch_and_index_only(root):
    keys = [clip["key"] for clip in all_clips(clips(root, seed=3), epoch=5)]
    again = clips(root, seed=3)
    assert [again.clip(index, 5, 8)["key"] for index in reversed(range(len(again)))] == keys[::-1]
    assert [clip["key"] for clip in all_clips(again, epoch=6)] != keys
    assert [clip["key"] for clip in all_clips(clips(root, seed=4), epoch=5)] != keys


def test_training_covers_every_video_by_length_and_every_start(root):
    film(root / "long.mp4", count=70)
    data = clips(root)
    names = [clip["key"].rpartition("/")[0] for clip in all_clips(data)]
    lengths = {f"folder/{segment.footage.video.name}": segment.length for segment in data.segments}
    assert {name: names.count(name) for name in names} == {name: n // 8 for name, n in lengths.items()}
    first = names[0]
    starts = {int(data.clip(0, epoch, 8)["key"].rpartition("/")[2]) for epoch in range(400)}
    assert starts == set(range(lengths[first] - 8 + 1))


def test_evaluation_clips_are_fixed_and_spread_evenly(root):
    keys = [clip["key"] for clip in all_clips(clips(root, "val", seed=0))]
    assert keys == [clip["key"] for clip in all_clips(clips(root, "val", seed=9), epoch=4)]
    starts = [int(key.rpartition("/")[2]) for key in keys]
    assert starts == [0, 11, 22]  # 30 frames hold 3 clips of 8 and leave room for starts up to 22
    longer = [clip["key"].rpartition("/")[2] for clip in all_clips(clips(root, "val"), frames=16)]
    assert longer == ["0", "7", "14"]


def test_clip_longer_than_the_video_raises(root):
    with pytest.raises(ZooError, match=r"has 30 frames for `val` at data.fps=25, but a clip of 31 was requested"):
        clips(root, "val").clip(0, 0, 31)


# Splits


def test_videos_are_split_by_video(root):
    def names(split, **settings):
        return {segment.footage.video.name for segment in clips(root, split, **settings).segments}

    everything = {"a.mp4", "b.mkv", "c.mov", "sub/d.mp4", "sub/é.mp4"}
    for share, held_out in ((0.2, 1), (0.4, 2), (0.01, 1), (0.99, 4)):
        val = names("val", val_share=share)
        assert len(val) == held_out
        assert names("train", val_share=share) == everything - val
    assert names("val", val_share=0.2) < names("val", val_share=0.4)


@pytest.mark.parametrize("fps", [25, 12.5, 60, 100])
def test_one_video_is_split_by_time_and_shares_no_frame(tmp_path, fps):
    film(tmp_path / "one.mp4", count=60)
    train, val = (clips(tmp_path, split, fps=fps, frames=4) for split in ("train", "val"))
    stored = train.segments[0].footage.stored
    (before,), (after,) = train.segments, val.segments
    assert (before.first, before.stop, after.stop) == (0, after.first, len(stored))
    assert stored[before.stop - 1] < stored[after.first] == 48
    for data, segment in ((train, before), (val, after)):
        shown = {n for clip in all_clips(data, 0, 4) for n in numbers(clip["video"])}
        assert shown <= set(stored[segment.first : segment.stop].tolist())


def test_single_video_too_short_for_both_splits_raises(tmp_path):
    film(tmp_path / "one.mp4", count=12)
    with pytest.raises(ZooError, match=r"one.mp4 is the only usable video.*data.frames=4"):
        clips(tmp_path)


# Folders of frames, labels, instances


def write_maps(folder, count, value):
    folder.mkdir(parents=True)
    for number in range(count):
        ids = np.zeros((32, 48), np.uint16)
        ids[8:16, 6:12] = value(number)
        cv2.imwrite(str(folder / f"frame{number}.png"), ids)  # unpadded numbers: 10 comes after 9


def test_folders_of_frames_are_videos_in_the_order_of_their_numbers(tmp_path):
    (tmp_path / "walk").mkdir()
    for number in range(24):
        Image.fromarray(numbered(number)).save(tmp_path / "walk" / f"{number}.png")
    clip = clips(tmp_path, "val", fps=5, val_share=0.5).clip(0, 0, 8)
    assert (clip["key"], numbers(clip["video"])) == ("folder/walk/12", list(range(12, 20)))
    halved = clips(tmp_path, "val", fps=5, image_fps=10, val_share=0.5, frames=4).clip(0, 0, 4)
    assert (halved["key"], numbers(halved["video"])) == ("folder/walk/6", [12, 14, 16, 18])


def test_content_is_a_checksum_of_the_files(root, tmp_path):
    """Of the video's bytes, independent of name and time; of a folder of frames, of those that are shown."""

    def contents(place):
        return [clip["content"] for clip in all_clips(clips(place, "val", val_share=0.5))]

    assert "content" not in clips(root).clip(0, 0, 8)
    original = contents(root)
    assert contents(shutil.copytree(root, tmp_path / "copy", copy_function=shutil.copyfile)) == original
    for path in root.rglob("*.m*"):
        film(path, count=31)
    assert not set(contents(root)) & set(original)

    pictures = tmp_path / "pictures"
    for number in range(40):
        (pictures / "a").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(pictures / "a" / f"{number}.png"), numbered(number))
    first, second = contents(pictures)
    assert first != second  # different frames
    cv2.imwrite(str(pictures / "a" / "39.png"), numbered(0))
    assert contents(pictures)[0] == first
    assert contents(pictures)[1] != second


def test_checksum_of_a_large_file_uses_its_size_and_three_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SAMPLED_BYTES", 10)
    original = bytes(range(40))

    def checksum(*changed, size=40):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.mp4"
        path.write_bytes(bytes(255 if place in changed else value for place, value in enumerate(original[:size])))
        return files.content_checksum([path])

    assert checksum() == checksum()
    assert len({checksum(), checksum(0), checksum(20), checksum(39), checksum(size=39)}) == 5
    assert checksum(12) == checksum()  # outside the three parts
    assert checksum(12, size=30) != checksum(size=30)  # small files are read completely
    one, other = tmp_path / "0.mp4", tmp_path / "3.mp4"  # the latter begins differently
    assert files.content_checksum([one, other]) != files.content_checksum([other, one])


def test_labels_and_instances_match_their_frames(root):
    for video in root.rglob("*.m*"):
        stem = video.relative_to(root).with_suffix("")
        write_maps(root.parent / "labels" / stem, 30, lambda number: number)
        write_maps(root / "objects" / stem, 30, lambda number: 1000 + number)
    settings = {"labels": "labels", "instances": "objects", "label_count": 30, "fps": 12.5, "frames": 5}
    data = clips(root, **settings)
    assert open_catalogue(config(root, **settings)).skipped == ()  # folders of maps under the root are not videos
    assert config(root, labels="labels", label_names=["sky", "car"]).spec().label_names == ("sky", "car")
    clip = data.clip(0, 0, 5)
    shown = torch.tensor(numbers(clip["video"]))
    assert clip["labels"].dtype == clip["instances"].dtype == torch.int64
    assert clip["labels"].shape == (5, 32, 48)
    assert torch.equal(clip["labels"][:, 12, 9], shown)
    assert torch.equal(clip["instances"][:, 12, 9], shown + 1000)
    assert clip["labels"][:, 7].sum() == clip["labels"][:, :, 12].sum() == 0


def test_label_beyond_the_classes_raises(root):
    for video in root.rglob("*.m*"):
        write_maps(root.parent / "labels" / video.relative_to(root).with_suffix(""), 30, lambda number: 33)
    with pytest.raises(ZooError, match=r"contains the label 33, but 3 classes.*data.label_count=34"):
        clips(root, labels="labels", label_count=3).clip(0, 0, 8)


def test_videos_without_all_their_labels_are_skipped(root):
    for name in ("a", "b", "c"):
        write_maps(root.parent / "labels" / name, 30 if name != "b" else 29, lambda number: 1)
    found = open_catalogue(config(root, labels="labels", label_count=2))
    assert [video.name for video in found.videos] == ["a.mp4", "c.mov"]
    assert "b.mkv has 30 frames, but " in found.skipped[0]
    assert "has 29 images of labels" in found.skipped[0]


def test_map_of_another_size_than_its_frame_raises(root):
    for video in root.rglob("*.m*"):
        write_maps(root / "labels" / video.relative_to(root).with_suffix(""), 30, lambda number: 1)
    data = clips(root, labels="labels", label_count=2)
    wrong = root / "labels" / Path(data.segments[0].footage.video.name).with_suffix("") / "frame3.png"
    cv2.imwrite(str(wrong), np.zeros((16, 24), np.uint8))
    with pytest.raises(ZooError, match=rf"{wrong} is 24x16 pixels, but the frames of .* are 48x32 .*nearest"):
        data.clip(0, 0, 8)


def test_error_names_the_file_with_a_label_beyond_the_classes(root):
    for video in root.rglob("*.m*"):
        write_maps(root / "labels" / video.relative_to(root).with_suffix(""), 30, lambda number: number == 29)
    data = clips(root, "val", labels="labels", label_count=1)
    with pytest.raises(ZooError, match=rf"{root}/labels/.*/frame29.png contains the label 1, but 1 classes were given"):
        data.clip(2, 0, 8)


def test_condition_distance_includes_the_edges(root):
    settings = {"condition": "distance", "fields": {"condition"}}
    assert config(root, condition="distance").spec().condition_channels == 2
    condition = clips(root, "val", **settings).clip(0, 0, 8)["condition"]
    assert condition.shape == (8, 2, 32, 48)
    assert torch.equal(condition[:, :1], clips(root, "val", condition="edges").clip(0, 0, 8)["condition"])
    assert (condition[:, 1] == 1).all()  # these frames are uniformly grey


# Unusable input


BAD = {
    "empty.mp4": lambda path: path.write_bytes(b""),
    "notes.mp4": lambda path: path.write_text("no video " * 100),
    "cut.mp4": lambda path: path.write_bytes(film(path).read_bytes()[:500]),
    "brief.mp4": lambda path: film(path, count=5),
}


def test_unusable_files_are_named_in_one_warning_and_skipped(root):
    for name, make in BAD.items():
        make(root / name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = clips(root)
    text = str(caught[0].message)
    assert len(caught) == 1
    assert text.startswith(f"4 skipped, 5 used in data.root={root}:")
    assert all(name in text for name in BAD)
    assert "brief.mp4 is shorter than a clip: 5 frames at data.fps=25" in text
    assert len(all_clips(data)) == len(data) == 12


@pytest.mark.parametrize("name", BAD)
def test_error_without_usable_videos_names_the_files(tmp_path, name):
    BAD[name](tmp_path / name)
    with pytest.raises(ZooError, match=rf"None of the 1 videos.*can be used.*\n.*{name}"):
        config(tmp_path).spec()


def test_error_for_an_empty_folder_states_what_was_searched(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "data.h5").write_text("x")
    with pytest.raises(ZooError, match=r"No video under .*Searched 2 folders.*\.mp4.*\.png.*1 \.h5"):
        config(tmp_path).spec()


def test_unreadable_folder_is_named(root, monkeypatch):
    original = os.scandir

    def locked(path):
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr("os.scandir", locked)
    found = open_catalogue(config(root))
    assert [video.name for video in found.videos] == ["a.mp4", "b.mkv", "c.mov"]
    assert found.skipped == (f"{root / 'sub'}: this folder cannot be read (Permission denied).",)


def test_videos_of_two_sizes_are_cropped_with_a_warning(root):
    film(root / "wide.mp4", height=32, width=96)
    with pytest.warns(UserWarning, match=r"2 sizes: 48x32 \(5, e.g. a.mp4\), 96x32 \(1, e.g. wide.mp4\)"):
        data = clips(root, val_share=0.01)
    assert {clip["video"].shape for clip in all_clips(data)} == {(8, 3, 32, 48)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"root": ""}, "type data.root=<folder>"),
        ({"root": "{root}/a.mp4"}, r"is a file. Type its folder: data.root=.*videos"),
        ({"root": "{root}/../vidoes"}, "no such folder. Did you mean `videos`"),
        ({"condition": "edge"}, "Did you mean `edges`"),
        ({"flow": "diss"}, "Did you mean `dis`"),
        ({"cache": "frame"}, "data.cache.*Did you mean `frames`"),
        ({"val_share": 1.0}, "val_share=0.2"),
        ({"fps": 0}, "data.fps is 0, but at least 0.001 is required"),
        (
            {"flow": "raft_small", "flow_weights": "/none.pth"},
            "data.flow_weights=/none.pth: there is no such",
        ),
        (
            {"labels": "labels", "label_count": 2},
            "data.labels=labels: there is no such folder. Searched: .*labels",
        ),
        ({"labels": "labels"}, "data.label_count=<number>"),
        ({"labels": "x", "label_names": ["sky"], "label_count": 2}, "Leave one of the two out"),
    ],
)
def test_invalid_settings_raise(root, settings, message):
    if "root" in settings:
        settings = {"root": settings["root"].format(root=root)}
    with pytest.raises(ZooError, match=message):
        config(**{"root": root} | settings).spec()


# The cache


def test_replaced_video_is_decoded_again(root):
    clips(root, "val").clip(0, 0, 8)
    for path in root.rglob("*.m*"):
        write_video(path, (numbered(60 - number) for number in range(30)), 25)
    assert numbers(clips(root, "val").clip(0, 0, 8)["video"]) == list(range(60, 52, -1))


def test_videos_that_differ_only_in_name_have_separate_cache_entries(tmp_path):
    for name, level in (("dark", 20), ("light", 200)):
        (tmp_path / name).mkdir()
        for number in range(8):
            path = tmp_path / name / f"{number}.bmp"
            Image.fromarray(np.full((32, 48, 3), level, np.uint8)).save(path)
            os.utime(path, (1, 1))
    levels = {clips(tmp_path, split).clip(0, 0, 8)["video"].mean().item() for split in ("train", "val")}
    assert sorted(levels) == pytest.approx([20 / 127.5 - 1, 200 / 127.5 - 1])


def test_indexed_files_are_not_probed_again(root, monkeypatch):
    config(root).spec()
    monkeypatch.setattr(catalogue, "probe", lambda path: pytest.fail(f"probed {path}"))
    assert len(open_catalogue(config(root, frames=4)).videos) == 5


def test_frames_are_cached_and_a_broken_entry_is_replaced(root, monkeypatch):
    expected = clips(root, "val").clip(0, 0, 8)["video"]
    with monkeypatch.context() as patched:
        patched.setattr(footage, "iter_frames", lambda *_: pytest.fail("decoded again"))
        assert torch.equal(clips(root, "val").clip(0, 0, 8)["video"], expected)
    for entry in (root / ".zoo").rglob("*.npy"):
        entry.write_bytes(entry.read_bytes()[:200])
    assert torch.equal(clips(root, "val").clip(0, 0, 8)["video"], expected)


@pytest.fixture
def decoded(monkeypatch):
    """Records the frames that are decoded."""
    frames = []
    original = decode._decode_from

    def counted(*arguments):
        for item in original(*arguments):
            frames.append(item)
            yield item

    monkeypatch.setattr(decode, "_decode_from", counted)
    return frames


def kinds_kept(root):
    """Kinds of the arrays on disk."""
    return {json.loads(path.read_bytes().rpartition(b"\n")[2])["kind"] for path in (root / ".zoo").rglob("*.npy")}


@pytest.mark.parametrize(
    ("cache", "kinds"),
    [("all", {"frames", "flow dis"}), ("frames", {"frames"}), ("flow", {"flow dis"}), ("none", set())],
)
def test_setting_cache_selects_what_is_cached_and_never_changes_clips(root, cache, kinds):
    expected = all_clips(clips(root, flow="dis", condition="edges"))
    shutil.rmtree(root / ".zoo")
    for _ in range(2):  # computed, then loaded
        for clip, other in zip(
            all_clips(clips(root, flow="dis", condition="edges", cache=cache)), expected, strict=True
        ):
            assert clip["key"] == other["key"]
            assert all(torch.equal(clip[name], other[name]) for name in ("video", "condition", "flow", "visibility"))
    assert kinds_kept(root) == kinds


def test_setting_cache_is_not_part_of_the_protocol(root):
    assert config(root, cache="none").shaping() == config(root).shaping()


def test_without_a_cache_decoding_runs_from_the_keyframe_to_the_last_frame(root, decoded):
    """The videos have a single keyframe, the first frame. To know how long a frame is shown, the next one is decoded
    too."""
    data = clips(root, "val", cache="none", flow="dis")
    for index, start in enumerate((0, 11, 22)):
        decoded.clear()
        assert data.clip(index, 0, 8)["key"].endswith(f"/{start}")
        assert start + 8 <= len(decoded) <= start + 8 + 1


def test_frames_decoded_on_the_way_are_cached(tmp_path, decoded):
    film(tmp_path / "one.mp4", count=80)
    video = open_catalogue(config(tmp_path)).videos[0]
    decoded.clear()
    whole = Footage(video, 32, 48, 25, ArrayCache(cache_folder(tmp_path)))
    assert whole.frames(2 * CHUNK_LENGTH + 1, 2 * CHUNK_LENGTH + 4).shape[0] == 3
    assert (
        len(decoded) == 3 * CHUNK_LENGTH + 1
    )  # to the end of the chunk, and one more to know how long its last frame is shown
    levels = whole.frames(0, 3 * CHUNK_LENGTH).mean(axis=(1, 2, 3))
    assert np.round((levels - 10) / STEP).tolist() == list(range(3 * CHUNK_LENGTH))
    assert len(decoded) == 3 * CHUNK_LENGTH + 1


def test_cached_arrays_are_memory_mapped(tmp_path):
    cache, origin = ArrayCache(tmp_path), Origin("x", "1", "frames", (4, 4))
    cache.store("x/0", origin, np.arange(5))
    assert isinstance(cache.load("x/0", origin, (5,)), np.memmap)


def test_read_only_root_falls_back_to_the_users_cache(root, tmp_path, monkeypatch):
    (root / ".zoo").write_text("a file where the folder would be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    with pytest.warns(UserWarning, match=r"\.zoo is not writable .*cached in .*home"):
        data = clips(root)
    assert len(all_clips(data)) == 12
    assert list((tmp_path / "home").rglob("*.npy"))


def test_concurrent_writers_of_one_entry_do_not_conflict(tmp_path):
    cache, origin = ArrayCache(tmp_path), Origin("x", "1", "frames", (4, 4))
    with ThreadPoolExecutor(8) as pool:
        arrays = list(
            pool.map(lambda _: cache.get_or_make("x/0", origin, (100_000,), lambda: np.arange(100_000)), range(32))
        )
    assert all(np.array_equal(array, np.arange(100_000)) for array in arrays)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["0.npy"]


def test_cache_entry_of_another_video_raises(root):
    """The flow of one video, copied over another's: the same shape but another origin."""
    data = clips(root, flow="dis")
    all_clips(data)
    names = [segment.footage.video.name for segment in data.segments[:2]]
    kept = {path: path.read_bytes() for path in (root / ".zoo").rglob("*.npy")}
    first, second = (
        next(path for path, data in kept.items() if b'"flow dis"' in data and f'"{name}"'.encode() in data)
        for name in names
    )
    shutil.copy(first, second)
    with pytest.raises(ZooError) as problem:
        all_clips(clips(root, flow="dis"))
    message = str(problem.value)
    assert message.startswith(f"{second} contains flow dis of {names[0]} at 48x32")
    assert f"expected: flow dis of {names[1]} at 48x32" in message
    assert "Delete it" in message
    second.unlink()
    assert len(all_clips(clips(root, flow="dis"))) == len(data)


def test_cache_entry_of_another_shape_raises(tmp_path):
    cache, origin = ArrayCache(tmp_path), Origin("x", "1", "frames", (4, 4))
    cache.get_or_make("x/0", origin, (3, 2), lambda: np.zeros((3, 2)))
    with pytest.raises(
        ZooError, match=r"0.npy contains frames of x at 4x4 .*shape \(3, 2\); expected: .*shape \(2, 2\)"
    ):
        cache.get_or_make("x/0", origin, (2, 2), lambda: np.zeros((2, 2)))


# Flow


class ChangeOfLevel:
    """Replaces an estimator: dx is the change of grey level, dy the level before."""

    name = "change"
    calls = 0

    def __call__(self, frames):
        self.calls += 1
        levels = frames.mean(axis=-1, dtype=np.float32)
        change = levels[1:] - levels[:-1]
        return np.stack([change, levels[:-1], np.ones_like(change)], axis=1).astype(np.float16)


def test_frames_and_flow_are_continuous_across_chunks_and_computed_once(tmp_path):
    path = tmp_path / "long.mp4"
    count = CHUNK_LENGTH + 6
    write_video(path, (np.full((32, 48, 3), 20 + 2 * n, np.uint8) for n in range(count)), 25)
    video = open_catalogue(config(tmp_path)).videos[0]
    long = Footage(video, 32, 48, 25, ArrayCache(cache_folder(tmp_path)))
    source = ChangeOfLevel()
    levels = long.frames(0, count).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(levels, 20 + 2 * np.arange(count), atol=1.5)
    for start, stop in (
        (0, count),
        (CHUNK_LENGTH - 3, CHUNK_LENGTH + 4),
        (CHUNK_LENGTH - 1, CHUNK_LENGTH + 1),
        (CHUNK_LENGTH, count),
        (3, 5),
    ):
        flow = long.flow(start, stop, source).mean(axis=(2, 3), dtype=np.float32)
        assert flow.shape == (stop - start - 1, 3)
        np.testing.assert_allclose(flow[:, 1], levels[start : stop - 1], atol=0.2)
        np.testing.assert_allclose(flow[:, 0], np.diff(levels[start:stop]), atol=0.2)
    assert source.calls == 2
    assert long.flow(4, 5, source).shape == (0, 3, 32, 48)


def test_flow_is_backward_and_warps_a_frame_to_the_next(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 200, 3), np.uint8)
    texture = cv2.GaussianBlur(noise, (0, 0), 2)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    write_video(tmp_path / "pan.mp4", (texture[:, 60 - 3 * n : 156 - 3 * n] for n in range(20)), 25)
    data = clips(tmp_path, "train", height=64, width=96, flow="dis", frames=4)
    clip = data.clip(0, 0, 4)
    middle = clip["flow"][:, :, 16:-16, 16:-16]
    assert middle[:, 0].median() == pytest.approx(-3, abs=0.3)  # content moves right, so its source is to the left
    assert middle[:, 1].median() == pytest.approx(0, abs=0.3)
    moved = (warp(clip["video"][:-1], clip["flow"]) - clip["video"][1:]).abs()[..., 16:-16]
    still = (clip["video"][:-1] - clip["video"][1:]).abs()[..., 16:-16]
    assert moved.mean() < still.mean() / 3
    assert clip["visibility"][..., 16:-16].mean() > 0.8


def test_cached_flow_of_another_size_is_not_used(root):
    first = clips(root, "val", flow="dis").clip(0, 0, 8)["flow"]
    assert first.shape == (7, 2, 32, 48)
    assert clips(root, "val", flow="dis", height=16, width=32).clip(0, 0, 8)["flow"].shape == (7, 2, 16, 32)
