"""Strips: frames in one image, in either direction, and what folders and names state."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from zoo.data import prepare
from zoo.data.base import build_set
from zoo.data.sets.strips.config import StripsConfig
from zoo.data.sets.strips.find import list_images
from zoo.data.sets.strips.strip import cut_frames
from zoo.data.transforms import to_uint8
from zoo.errors import ZooError
from zoo.types import Split

SIDE = 16
PEOPLE, ACTIONS = ("daria", "eli", "ido", "lena"), ("bend", "wave1")


def frames_of(number: int, count: int) -> np.ndarray:
    """Flat frames (T, S, S, 3): red is the number of the strip, green that of the frame."""
    video = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    video[..., 0], video[..., 1] = 10 * number, (5 * np.arange(count))[:, None, None]
    return video


def write(path: Path, video: np.ndarray, vertical: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    strip = np.concatenate(list(video), axis=0 if vertical else 1)
    quality = [] if path.suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 100]
    cv2.imwrite(str(path), cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), quality)


def write_actions(root: Path, count: int = 12) -> None:
    for place, action in enumerate(ACTIONS):
        for number, person in enumerate(PEOPLE):
            write(root / action / f"{person}_{action}.png", frames_of(4 * place + number, count))


def config(root: Path, **settings) -> StripsConfig:
    return StripsConfig(root=str(root), **({"height": SIDE, "frames": 4, "val_share": 0.25, "flow": "none"} | settings))


def open_split(root: Path, split: Split = "train", **settings):
    return build_set(config(root, **settings), split, frozenset({"attributes"}), 0)


def colours(clip) -> np.ndarray:
    """Red and green of each frame, (T, 2)."""
    return to_uint8(clip["video"].numpy())[:, 3, 3, :2]


def test_strips_are_cut_in_either_direction():
    video = frames_of(3, 5)
    for axis in (0, 1):
        assert np.array_equal(cut_frames(np.concatenate(list(video), axis=axis)), video)
    assert len(cut_frames(video[0])) == 1


@pytest.mark.parametrize(("suffix", "vertical"), [(".png", False), (".png", True), (".jpg", True), (".jpeg", False)])
def test_frames_are_read_in_order(tmp_path, suffix, vertical):
    for number in range(4):
        write(tmp_path / f"{number}{suffix}", frames_of(number, 8), vertical)
    clips = open_split(tmp_path, "val", frames=8)
    assert len(clips) == 1
    clip = clips.clip(0, 0, 8)
    number = int(clip["key"].split("/")[1][0])
    expected = np.stack([np.full(8, 10 * number), 5 * np.arange(8)], 1)
    assert np.abs(colours(clip).astype(int) - expected).max() <= (2 if suffix != ".png" else 0)
    assert "attributes" not in config(tmp_path).spec().fields


def test_folders_and_names_are_attributes(tmp_path):
    """As the Weizmann actions are stored: <action>/<person>_<action>.png."""
    write_actions(tmp_path)
    settings = {"attribute": "action", "name_attributes": ["person"]}
    spec = config(tmp_path, **settings).spec()
    assert spec.attributes == {"action": ACTIONS, "person": PEOPLE}
    assert spec.constant == ("action", "person")
    seen = set()
    for split, count in (("train", 18), ("val", 6)):  # three strips of every action train, each gives three clips
        clips = open_split(tmp_path, split, **settings)
        assert len(clips) == count
        for index in range(count):
            clip = clips.clip(index, 0, 4)
            action, person = (int(clip["attributes"][name][0]) for name in ("action", "person"))
            assert colours(clip)[0, 0] == 10 * (4 * action + person)
            assert f"{ACTIONS[action]}/{PEOPLE[person]}_" in clip["key"]
            seen.add((split, action, person))
    assert len({pair[1:] for pair in seen}) == len(seen) == 8


def test_values_are_in_natural_order(tmp_path):
    for number in (0, 1, 3, 10):
        for take in range(2):
            write(tmp_path / str(number) / f"{take}.png", frames_of(number, 4))
    assert config(tmp_path).spec().attributes == {"class": ("0", "1", "3", "10")}
    assert [path.parent.name for path in list_images(tmp_path)] == ["0", "0", "1", "1", "3", "3", "10", "10"]
    clip = open_split(tmp_path, "val").clip(3, 0, 4)
    assert (int(clip["attributes"]["class"][0]), colours(clip)[0, 0]) == (3, 100)


def test_step_spaces_the_frames(tmp_path):
    write_actions(tmp_path)
    val = open_split(tmp_path, "val", frames=3, step=4).clip(0, 0, 3)
    assert colours(val)[:, 1].tolist() == [0, 20, 40]
    assert float(val["fps"]) == 12.5  # of the clip
    train = open_split(tmp_path, "train", frames=3, step=4)
    starts = {tuple(colours(train.clip(0, epoch, 3))[:, 1].tolist()) for epoch in range(40)}
    assert starts == {(5 * first, 5 * first + 20, 5 * first + 40) for first in range(4)}
    assert train.video_count(3) == 6
    assert train.video_count(4) == 0
    with pytest.raises(ZooError, match=r"a clip of 4 was requested at a spacing of 4. The longest video here has 12"):
        train.clip(0, 0, 4)


def test_pieces_keep_the_step(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.data.base.PIECE_FRAMES", 2)
    write_actions(tmp_path)
    pieces = list(open_split(tmp_path, "val", frames=5, step=2).pieces(0, 5))
    assert [colours(piece)[:, 1].tolist() for piece in pieces] == [[0, 10], [20, 30], [40]]


def test_ends_of_strips_are_held_out(tmp_path):
    write_actions(tmp_path)
    seen = {}
    for split in ("train", "test", "val"):
        clips = open_split(tmp_path, split, held_out="time", val_share=1 / 3, test_share=1 / 3)
        seen[split] = np.concatenate([colours(clips.clip(index, 0, 4)) for index in range(len(clips))])
        assert len(np.unique(seen[split][:, 0])) == 8
    spans = {split: set((values[:, 1] // 5).tolist()) for split, values in seen.items()}
    assert spans == {"train": {0, 1, 2, 3}, "test": {4, 5, 6, 7}, "val": {8, 9, 10, 11}}
    with pytest.raises(ZooError, match=r"has the 5 frames of a clip in `train`; the longest part has 4. Try: .*=4"):
        open_split(tmp_path, held_out="time", val_share=1 / 3, test_share=1 / 3, frames=5)
    with pytest.raises(ZooError, match="no test split"):
        open_split(tmp_path, "test")


def test_half_of_the_training_clips_are_mirrored(tmp_path):
    video = np.zeros((4, SIDE, SIDE, 3), np.uint8)
    video[:, :, : SIDE // 2] = 255
    for number in range(4):
        write(tmp_path / f"{number}.png", video)
    clips = open_split(tmp_path, flip=True)
    bright = [float(clips.clip(0, epoch, 4)["video"][0, 0, 0, 0]) for epoch in range(40)]
    assert {-1.0, 1.0} == set(bright)
    assert float(open_split(tmp_path, "val", flip=True).clip(0, 0, 4)["video"][0, 0, 0, 0]) == 1


def test_other_strips_are_refused(tmp_path):
    with pytest.raises(ZooError, match=r"needs the folder with the strips: type data.root=<folder>. It takes <root>/"):
        StripsConfig().spec()
    with pytest.raises(ZooError, match="contains no image"):
        config(tmp_path).spec()
    write_actions(tmp_path)
    cases = {
        "bend/x_y.png": (np.zeros((1, SIDE, 5 * SIDE + 3, 3), np.uint8), "83x16 pixels .* 83 is not a multiple of 16"),
        "bend/thin_y.png": (np.zeros((1, 1, 90, 3), np.uint8), "90x1 pixels .* frames have at least 8"),
        "bend/short_y.png": (frames_of(0, 3), r"1 of 9 strips .* fewer than the 4 frames .*short_y.png \(3\).*=3"),
        "bend/large_y.png": (np.zeros((9, 32, 32, 3), np.uint8), "2 sizes: 16x16 in 8, such as .*; 32x32 in 1, such"),
        "outside_y.png": (frames_of(0, 8), "1 of 9 strips .* are in no class's folder: outside_y.png"),
    }
    for name, (video, message) in cases.items():
        write(tmp_path / name, video)
        with pytest.raises(ZooError, match=message):
            config(tmp_path).spec()
        (tmp_path / name).unlink()
    (tmp_path / "bend/broken_y.png").write_bytes(b"no image")
    with pytest.raises(ZooError, match=r"broken_y.png cannot be read"):
        config(tmp_path).spec()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": 0}, "data.step is 0, but at least 1 is required"),
        ({"step": 4}, "fewer than the 13 frames that a clip of 4 frames takes at data.step=4.*type data.frames=3"),
        ({"held_out": "people"}, "data.held_out=people is not a choice"),
        ({"name_attributes": ["class"]}, "must be different names"),
        ({"name_attributes": ["a", "b", "c"]}, "should state a, b, c in its name.* but it has 2"),
    ],
)
def test_bad_settings(tmp_path, settings, message):
    write_actions(tmp_path)
    with pytest.raises(ZooError, match=message):
        config(tmp_path, **settings).spec()


def test_strips_are_counted(tmp_path, capsys):
    write_actions(tmp_path / "set")
    words = ["strips", f"root={tmp_path / 'set'}", "frames=4", f"sheet={tmp_path / 's.png'}"]
    prepare.main([*words, "attribute=action", "name_attributes=[person]"])
    printed = capsys.readouterr().out
    assert "8 strips of 12 to 12 frames of 16x16 pixels" in printed
    counts = {line.split()[1]: line.split()[2:] for line in printed.splitlines() if len(line.split()) == 4}
    assert counts["bend"] == counts["wave1"] == ["3", "1"]
    assert sum(int(counts[person][0]) for person in PEOPLE) == 6
    assert "data=strips" in printed
