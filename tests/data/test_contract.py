"""Every registered data set provides clips that match its spec."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.helpers.arrays import moving_square, save
from tests.helpers.bair import write_records
from tests.helpers.kth import write_kth
from tests.helpers.paths import FIXTURES
from zoo.data.base import DATA_SETS, DataConfig, build_set
from zoo.data.decode import write_video
from zoo.errors import ZooError
from zoo.types import FIELDS

T, H, W = 4, 32, 48
KTH_PEOPLE = (1, 2, 25)
"""One for training, one for validation, one for test."""
SETTINGS = {
    "puppets": {"condition": "edges"},
    "folder": {"condition": "edges", "val_share": 0.5},
    "paired": {"condition": "distance", "label_count": 14},
    "weizmann": {"condition": "edges"},
    "classes": {"condition": "edges"},
    "moving_mnist": {"channels": 3, "digits": 1},
    "shapes": {"attributes": ["motion", "shape", "size", "colour"]},
    "arrays": {"condition": "edges"},
    "bair": {"condition": "edges", "val_share": 0.25},
    "kth": {"condition": "edges", "channels": 3},
    "strips": {"condition": "edges", "val_share": 0.5, "name_attributes": ["person"]},
}
"""Settings beside size, root and name with which a data set provides as many fields as it can."""


@pytest.fixture(params=DATA_SETS.names())
def config(request: pytest.FixtureRequest, tmp_path: Path) -> DataConfig:
    name = request.param
    settings = {"name": name, "frames": T, "height": H, "width": W, **SETTINGS.get(name, {})}
    root = tmp_path / "data"
    if name == "folder":
        frames = np.random.default_rng(0).integers(0, 255, (60, 32, 48, 3), np.uint8)
        write_video(root / "a.mp4", frames, 12.5)
    elif name == "strips":
        for number in range(8):
            strip = np.random.default_rng(number).integers(0, 255, (24, 24 * 12, 3), np.uint8)
            (root / f"class{number % 2}").mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / f"class{number % 2}" / f"{'ab'[number // 4]}_{number}.png"), strip)
    elif name == "arrays":
        save(root / "videos.npy", moving_square())
    elif name == "bair":
        write_records(root)
    elif name == "kth":
        write_kth(root, KTH_PEOPLE, ["boxing"])
    elif (FIXTURES / name).is_dir():
        shutil.copytree(FIXTURES / name, root)
    return DATA_SETS.config(settings | ({"root": str(root)} if root.exists() else {}))


@pytest.mark.parametrize("split", ["train", "val"])
def test_clip_matches_the_spec(config, split):
    spec = config.spec()
    assert set(spec.fields) <= DATA_SETS.find(config.name).card.fields
    clip = build_set(config, split, frozenset(FIELDS), seed=0).clip(1, 0, T)
    reads_files = bool(getattr(config, "root", "")) or config.name == "moving_mnist"  # its digits are a file
    from_files = {"content"} if split == "val" and reads_files else set()
    assert set(clip) == {"fps", "key", *spec.fields} | from_files
    shapes = {
        "video": (T, 3, H, W),
        "labels": (T, H, W),
        "instances": (T, H, W),
        "condition": (T, spec.condition_channels, H, W),
        "flow": (T - 1, 2, H, W),
        "visibility": (T - 1, 1, H, W),
        "actions": (T, len(spec.action_names)),
    }
    for name, shape in shapes.items():
        if name in clip:
            integer = name in ("labels", "instances")
            assert clip[name].shape == shape, name
            assert clip[name].dtype == (torch.int64 if integer else torch.float32), name
    assert clip["video"].min() >= -1
    assert clip["video"].max() <= 1
    assert clip["video"].std() > 0.1
    if "pose" in clip:
        assert (clip["pose"].shape[0], clip["pose"].shape[2]) == (T, 3)
        assert clip["pose"].dtype == torch.float32
    if "bounces" in clip:
        assert (clip["bounces"].dtype, len(clip["bounces"])) == (torch.bool, T)
    assert set(spec.foreground) <= set(spec.label_names)
    assert ("actions" in clip) == bool(spec.action_names)
    if "visibility" in clip:
        assert set(clip["visibility"].unique().tolist()) <= {0.0, 1.0}
    if "labels" in clip:
        assert 0 <= clip["labels"].min() <= clip["labels"].max() < len(spec.label_names)
    for name, values in clip.get("attributes", {}).items():
        assert (values.shape, values.dtype) == ((T,), torch.int64)
        assert -1 <= values.min() <= values.max() < len(spec.attributes[name])
        assert name not in spec.constant or len(values.unique()) == 1
    assert set(clip.get("attributes", {})) == set(spec.attributes) >= set(spec.constant)


@pytest.mark.parametrize("split", ["train", "val"])
def test_grey_clips_differ_in_their_video_only(config, split):
    """In any data set, whatever it computes from its frames; so grey and RGB clips have the same flow and condition."""
    grey = replace(config, channels=1)
    assert grey.spec() == replace(config.spec(), channels=1)
    clip, coloured = (build_set(each, split, frozenset(FIELDS), seed=0).clip(1, 0, T) for each in (grey, config))
    red, green, blue = coloured["video"].unbind(1)
    assert clip["video"].shape == (T, 1, H, W)
    torch.testing.assert_close(clip["video"][:, 0], 0.299 * red + 0.587 * green + 0.114 * blue)
    assert list(clip) == list(coloured)
    for name in set(clip) - {"video", "attributes", "key", "content"}:
        assert torch.equal(clip[name], coloured[name]), name
    for name in {"attributes", "key", "content"} & set(clip):
        assert str(clip[name]) == str(coloured[name])


def test_pieces_of_grey_clips_are_grey(config, monkeypatch):
    monkeypatch.setattr("zoo.data.base.PIECE_FRAMES", 3)
    clips = build_set(replace(config, channels=1), "val", frozenset(), seed=0)
    video = torch.cat([piece["video"] for piece in clips.pieces(1, T)])
    assert video.shape == (T, 1, H, W)
    assert torch.allclose(video, clips.clip(1, 0, T)["video"])
    assert len(clips) == len(build_set(config, "val", frozenset(), seed=0))


def test_channels_are_part_of_the_protocol_of_grey_clips_only(config):
    assert "channels" not in config.shaping()
    assert replace(config, channels=1).shaping() == config.shaping() | {"channels": 1}


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        (0, "data.channels is 0, but at least 1 is required"),
        (2, r"data.channels=2 is not a choice. .* 3 channels \(RGB\) or 1 \(grey\)"),
        (4, "data.channels is 4, but at most 3 is allowed"),
        (None, "data.channels=None is not a choice"),
    ],
)
def test_another_number_of_channels_is_refused(config, channels, message):
    with pytest.raises(ZooError, match=message):
        replace(config, channels=channels)


def test_only_requested_fields_are_provided(config):
    assert set(build_set(config, "train", frozenset(), seed=0).clip(0, 0, T)) == {"video", "fps", "key"}


def test_clip_depends_on_its_arguments_only(config):
    first, second = (build_set(config, "train", frozenset({"flow"}), seed=3) for _ in range(2))
    wanted = first.clip(1, 2, T)
    second.clip(0, 0, T)
    again = second.clip(1, 2, T)
    assert wanted["key"] == again["key"]
    assert torch.equal(wanted["video"], again["video"])
    assert torch.equal(wanted["flow"], again["flow"])


def test_evaluation_does_not_depend_on_the_seed(config):
    one, other = (build_set(config, "val", frozenset(), seed).clip(1, 0, T) for seed in (1, 2))
    assert one["key"] == other["key"]
    assert torch.equal(one["video"], other["video"])


def test_pieces_concatenate_to_the_clip(config, monkeypatch):
    """The pieces, made one by one, concatenate to the clip."""
    monkeypatch.setattr("zoo.data.base.PIECE_FRAMES", 3)
    clips = build_set(config, "val", frozenset(FIELDS) - {"flow", "visibility"}, seed=0)
    whole, pieces = clips.clip(1, 0, T), list(clips.pieces(1, T))
    assert [len(piece["video"]) for piece in pieces] == [3] * (T // 3) + [T % 3] * (T % 3 > 0)
    assert pieces[0]["key"] == whole["key"]
    for name in config.spec().fields:
        if name == "attributes":
            for attribute, ids in whole["attributes"].items():
                assert torch.equal(torch.cat([piece["attributes"][attribute] for piece in pieces]), ids)
        elif name in whole:
            assert torch.allclose(torch.cat([piece[name] for piece in pieces]), whole[name]), name


def test_training_and_evaluation_share_no_clip(config):
    keys = [
        {clips.clip(index, 0, T)["key"] for index in range(min(len(clips), 20))}
        for clips in (build_set(config, split, frozenset(), 0) for split in ("train", "val"))
    ]
    assert keys[0] & keys[1] == set()


def test_test_clips_are_held_out_or_the_error_says_what_to_type(config):
    assert "test" in config.splits
    assert not {"test_share", "test_list"} & config.shaping().keys()  # protocols from before equal those of now
    try:
        tested = build_set(config, "test", frozenset(), 0)
    except ZooError as problem:
        assert "data.test_share=" in str(problem)  # noqa: PT017
        return
    keys = {tested.clip(index, 0, T)["key"] for index in range(min(len(tested), 20))}
    for split in ("train", "val"):
        clips = build_set(config, split, frozenset(), 0)
        assert not keys & {clips.clip(index, 0, T)["key"] for index in range(min(len(clips), 20))}
