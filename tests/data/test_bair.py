"""BAIR robot pushing: checksums, TFRecord files, the PNG files of SVG's converter, splits, and actions in SVG."""

import random
import struct
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from tests.helpers.bair import (
    FRAMES,
    actions_of,
    example,
    frames_of,
    masked_crc,
    record_file,
    write_pictures,
    write_records,
)
from zoo.card import MODELS
from zoo.data import prepare
from zoo.data.base import build_set
from zoo.data.sets.bair.config import BAIRConfig
from zoo.data.sets.bair.crc import LANES, crc32c, masked_crc32c
from zoo.data.sets.bair.find import find_bair
from zoo.data.sets.bair.records import Record, index_records, read_example
from zoo.data.transforms import to_uint8
from zoo.errors import ZooError
from zoo.model import build
from zoo.testing.fuzz import damage

SMALL = {"frames": 4, "height": 64, "flow": "none", "val_share": 0.25}


def config(root, **settings) -> BAIRConfig:
    return BAIRConfig(root=str(root), **(SMALL | settings))


def open_split(root, split="train", **settings):
    with pytest.warns(UserWarning, match="training videos of BAIR and .* test videos are in"):
        return build_set(config(root, **settings), split, frozenset({"actions"}), 0)


def number_of(key: str) -> int:
    """Number of the trajectory that the helpers wrote, by the key of a clip: bair/train/traj_4_to_7/2/0."""
    _, phase, file, place, _ = key.split("/")
    return int(file.split("_")[1]) + int(place) - 1 + (100 if phase == "test" else 0)


# ----------------------------------------------------------------------------------------------------- the file format


def test_published_checksums():
    """Of RFC 3720, appendix B.4, and of the usual check."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


@pytest.mark.parametrize("length", [1, LANES - 1, LANES, LANES + 1, 3 * LANES + 5, 20_000])
def test_long_checksums_are_those_computed_byte_by_byte(length):
    data = np.random.default_rng(length).bytes(length)
    assert struct.pack("<I", masked_crc32c(data)) == masked_crc(data)


@pytest.mark.parametrize("packed", [True, False])
def test_records_are_read(tmp_path, packed):
    path = tmp_path / "x.tfrecords"
    path.write_bytes(record_file(3, 2, FRAMES, packed))
    places = index_records(path)
    size = len(example(3, FRAMES, packed))
    assert places == [(12, size), (size + 28, size)]
    for number, place in zip((3, 4), places, strict=True):
        found = read_example(Record(path, "", *place))
        assert len(found.texts) == 2 * FRAMES
        assert len(found.floats) == 2 * FRAMES
        for camera in ("aux1", "main"):
            assert bytes(found.texts[f"2/image_{camera}/encoded"]) == frames_of(number, camera)[2].tobytes()
        assert found.floats["2/action"].tolist() == actions_of(number)[2].tolist()
        assert found.floats["2/endeffector_pos"].tolist() == actions_of(number)[2, :3].tolist()


def test_the_reader_agrees_with_protocol_buffers():
    """The library of protocol buffers, told the definition of tf.train.Example, writes what the reader reads."""
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="t", syntax="proto3")

    def add(name, *fields):
        kind = file.message_type.add(name=name)
        for number, (field, type_number, repeated, of) in enumerate(fields, start=1):
            name_of_type = {"type_name": f".t.{of}"} if of else {}
            kind.field.add(name=field, number=number, type=type_number, label=3 if repeated else 1, **name_of_type)

    add("BytesList", ("value", 12, True, ""))
    add("FloatList", ("value", 2, True, ""))
    add("Feature", ("bytes_list", 11, False, "BytesList"), ("float_list", 11, False, "FloatList"))
    add("Entry", ("key", 9, False, ""), ("value", 11, False, "Feature"))
    add("Features", ("feature", 11, True, "Entry"))
    add("Example", ("features", 11, False, "Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Example"))()
    made.ParseFromString(example(5))
    entries = {entry.key: entry.value for entry in made.features.feature}
    assert entries["1/image_main/encoded"].bytes_list.value[0] == frames_of(5, "main")[1].tobytes()
    assert list(entries["1/action"].float_list.value) == actions_of(5)[1].tolist()
    assert made.SerializeToString() == example(5)


def test_damage_is_noticed(tmp_path):
    data = bytearray(record_file(0, 2))
    size = len(example(0))
    cases = {
        len(data) - 1: "is cut short: the record at byte .* bytes are there|bytes, but",
        20: "is cut short: the record at byte 0 has",
        5: "is cut short: the record at byte 0 has 12 bytes, but 5 are there",
        0: "contains no record",
    }
    path = tmp_path / "x.tfrecords"
    for length, sentence in cases.items():
        path.write_bytes(data[:length])
        with pytest.raises(ZooError, match=sentence):
            index_records(path)
    data[0] ^= 1
    path.write_bytes(data)
    with pytest.raises(ZooError, match="no TFRecord file, or damaged: no record begins at byte 0"):
        index_records(path)
    data[0] ^= 1
    data[size + 28 + 5000] ^= 16
    path.write_bytes(data)
    first, second = (Record(path, "damaged", *place) for place in index_records(path))
    read_example(first)
    with pytest.raises(ZooError, match=rf"the record at byte {size + 16} is damaged: its checksum differs"):
        read_example(second)
    length = struct.pack("<Q", 1 << 40)
    path.write_bytes(length + masked_crc(length) + bytes(100))
    with pytest.raises(ZooError, match="at most 100,000 records of 67,108,864 bytes are supported"):
        index_records(path)


def test_records_with_damaged_fields_get_a_sentence(tmp_path):
    """The checksums are right, so the fields themselves are bad."""
    rng = random.Random(1)
    path = tmp_path / "x.tfrecords"
    refused = 0
    for number in range(60):
        data = damage(example(0, 1)[:600], rng)
        length = struct.pack("<Q", len(data))
        path.write_bytes(length + masked_crc(length) + data + masked_crc(data))
        try:
            read_example(Record(path, str(number), 12, len(data)))
        except ZooError as problem:
            assert "x.tfrecords: the record at byte 0 is damaged: " in str(problem)  # noqa: PT017
            refused += 1
    assert refused > 20


# --------------------------------------------------------------------------------------------------------------- clips


@pytest.mark.parametrize("place", ["", "softmotion30_44k"])
def test_clips_of_records(tmp_path, place):
    write_records(tmp_path)
    seen = set()
    for split, count in (("train", 6), ("val", 2), ("test", 2)):
        clips = open_split(tmp_path / place, split)
        assert len(clips) == count
        for index in range(count):
            clip = clips.clip(index, 1, 4)
            number, start = number_of(clip["key"]), int(clip["key"].split("/")[-1])
            assert split == "train" or start == 0
            assert np.array_equal(to_uint8(clip["video"].numpy()), frames_of(number)[start : start + 4])
            assert np.array_equal(clip["actions"].numpy(), actions_of(number)[start : start + 4])
            seen.add((split, number))
    assert {number for _, number in seen} == {*range(8), 100, 101}
    assert {number for split, number in seen if split == "test"} == {100, 101}
    assert len(seen) == 10


def test_clips_of_pictures_are_the_same_without_actions(tmp_path):
    write_records(tmp_path / "a")
    write_pictures(tmp_path / "b")
    assert "actions" not in config(tmp_path / "b").spec().fields
    for split in ("train", "val", "test"):
        recorded, pictures = open_split(tmp_path / "a", split), open_split(tmp_path / "b", split)
        for index in range(len(recorded)):
            one, other = recorded.clip(index, 2, 4), pictures.clip(index, 2, 4)
            assert one["key"] == other["key"]
            assert torch.equal(one["video"], other["video"])
    with pytest.raises(ZooError, match="of the camera aux1 alone"):
        config(tmp_path / "b", camera="main").spec()
    (tmp_path / "b/processed_data/test/traj_0_to_1/2/3.png").unlink()
    with pytest.raises(ZooError, match=r"2/3.png is missing"):
        pictures.clip(1, 0, 4)


def test_the_other_camera(tmp_path):
    clip = open_split(write_records(tmp_path), "test", camera="main").clip(0, 0, 4)
    assert np.array_equal(to_uint8(clip["video"].numpy()), frames_of(100, "main")[:4])


def test_starts_are_random_or_the_first_frame(tmp_path):
    write_records(tmp_path)
    for random_start, expected in ((True, {0, 1, 2}), (False, {0})):
        clips = open_split(tmp_path, random_start=random_start)
        keys = [clips.clip(index, epoch, 4)["key"] for epoch in range(8) for index in range(6)]
        assert {int(key.split("/")[-1]) for key in keys} == expected


def test_all_train_as_published_if_nothing_is_held_out(tmp_path):
    write_records(tmp_path)
    assert len(open_split(tmp_path, val_share=0)) == 8
    val = open_split(tmp_path, "val", val_share=0)
    assert {number_of(val.clip(index, 0, 4)["key"]) for index in range(len(val))} == {100, 101}
    with pytest.raises(ZooError, match=r"data.val_share=0 has no test split"):
        build_set(config(tmp_path, val_share=0), "test", frozenset(), 0)


def test_the_index_is_stored_and_follows_the_file(tmp_path):
    write_records(tmp_path)
    found = find_bair(config(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.data.sets.bair.find.index_records", lambda path: pytest.fail("read again"))
        assert find_bair(config(tmp_path)).training == found.training
    path = tmp_path / "softmotion30_44k/train/traj_0_to_3.tfrecords"
    path.write_bytes(record_file(0, 3))
    assert len(find_bair(config(tmp_path)).training) == 7


def test_actions_steer_svg(tmp_path):
    """The model has inputs for the four numbers, and a frame depends on the action before it."""
    settings = {"frames": 4, "height": 16}
    clips = open_split(write_records(tmp_path), **settings)
    model = build(asdict(MODELS.find("svg").config.tiny()), config(tmp_path, **settings).spec())
    assert model.action_count == 4
    clip = default_collate([clips.clip(index, 0, 4) for index in range(2)])
    assert model.actions_of(clip).shape == (2, 3, 4)
    assert torch.equal(model.actions_of(clip), clip["actions"][:, :3])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"camera": "aux2"}, "data.camera=aux2 is not a choice. Did you mean `aux1`"),
        ({"test_share": 0.1}, "BAIR has test videos of its own"),
        ({"frames": 7}, "have 6 frames, but a clip has 7: type data.frames=6"),
        ({"root": ""}, r"needs the folder with the videos: type data.root=<folder>. It takes softmotion30_44k/train/"),
    ],
)
def test_settings(tmp_path, settings, message):
    write_records(tmp_path)
    with pytest.raises(ZooError, match=message):
        BAIRConfig(**({"root": str(tmp_path)} | SMALL | settings)).spec()


def test_other_folders_and_files_are_refused(tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(ZooError, match=r"no training videos of BAIR. It takes softmotion30_44k.*Found there: other"):
        config(tmp_path).spec()
    path = tmp_path / "train" / "a.tfrecords"
    path.parent.mkdir()
    data = b""
    length = struct.pack("<Q", 0)
    path.write_bytes(length + masked_crc(length) + data + masked_crc(data))
    with pytest.raises(ZooError, match="no feature 0/image_aux1/encoded in its first record"):
        config(tmp_path).spec()


def test_missing_frames_and_actions_name_the_file(tmp_path):
    write_records(tmp_path)
    path = tmp_path / "softmotion30_44k/test/traj_0_to_1.tfrecords"
    path.write_bytes(record_file(100, 1, 3))
    clips = open_split(tmp_path, "test")
    with pytest.raises(ZooError, match=r"frame 3 of the camera aux1 in test/traj_0_to_1/1 is missing"):
        clips.clip(0, 0, 4)
    with pytest.raises(ZooError, match=r"test/traj_0_to_1/1 has 3 actions of 4 finite numbers for its 6 frames"):
        clips.segments[0].footage.video.actions()


def test_videos_are_counted(tmp_path, capsys):
    write_records(tmp_path / "set")
    words = ["bair", f"root={tmp_path / 'set'}", "frames=4", "val_share=0.25", f"sheet={tmp_path / 's.png'}"]
    prepare.main(words)
    printed = capsys.readouterr().out
    assert "10 videos of 6 frames in" in printed
    assert "TFRecord files, with actions" in printed
    assert ["videos", "6", "2", "2"] in [line.split() for line in printed.splitlines()]
    assert "Published: 43,264 training and 256 test videos of 30 frames" in printed
