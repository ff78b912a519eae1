"""Arrays of frames: axes and levels, the four formats, splits, images, and files that are not as they should be."""

import io
import itertools
import json
import os
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.arrays import moving_square, save
from zoo.data import prepare
from zoo.data.base import build_set
from zoo.data.sets.arrays.axes import find_axes, parse_axes, take_frames
from zoo.data.sets.arrays.config import ArraysConfig
from zoo.data.sets.arrays.find import find_arrays
from zoo.data.sets.arrays.levels import Levels
from zoo.data.transforms import to_uint8
from zoo.errors import ZooError
from zoo.testing.fuzz import damage

VIDEOS = moving_square()


def config(root: Path, **settings) -> ArraysConfig:
    return ArraysConfig(root=str(root), **({"frames": 4, "height": 32, "width": 48, "flow": "none"} | settings))


def open_split(root: Path, split="val", **settings):
    return build_set(config(root, **settings), split, frozenset(), 0)


def read(root: Path, **settings) -> dict[str, np.ndarray]:
    """Whole videos of all splits by name, (T, H, W, 3) uint8."""
    found = find_arrays(config(root, **settings))
    return {video.name: np.stack(list(video.read("frames", np.arange(video.length)))) for video in found.videos}


# ----------------------------------------------------------------------------------------------------- axes and levels


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((100, 64, 48), "THW"),
        ((64, 48, 3), "HWC"),
        ((3, 64, 48), "CHW"),
        ((64, 48), "HW"),
        ((50, 100, 64, 48), "NTHW"),
        ((100, 64, 48, 3), "THWC"),
        ((100, 3, 64, 48), "TCHW"),
        ((3, 100, 64, 48), "CTHW"),
        ((50, 100, 64, 48, 1), "NTHWC"),
        ((50, 3, 64, 48, 3), "NTHWC"),
        ((50, 100, 1, 64, 48), "NTCHW"),
        ((50, 3, 100, 64, 48), "NCTHW"),
    ],
)
def test_axes_are_found(shape, order):
    axes = find_axes(shape, "x")
    assert axes.order == order
    assert (axes.size("H"), axes.size("W")) == (64, 48)
    assert axes.size("T") == (1 if "T" not in order else 3 if shape == (50, 3, 64, 48, 3) else 100)


@pytest.mark.parametrize("shape", [(3, 1, 64, 64), (10, 3, 1, 64, 64), (2, 4, 5, 64, 64, 3), (10, 4, 64), (64, 4)])
def test_unclear_axes_are_asked_for(shape):
    with pytest.raises(ZooError, match=r"x has the shape .*Type what they are.*such as data.axes=NTHWC"):
        find_axes(shape, "x")


@pytest.mark.parametrize("order", ["NTHWC", "TNHW", "CWHTN", "HWT", "WH", "NCTHW"])
def test_frames_are_taken_along_any_axes(order):
    lengths = {"N": 4, "T": 6, "H": 8, "W": 10, "C": 3}
    values = np.random.default_rng(1).normal(size=[lengths[letter] for letter in order])
    axes = parse_axes(order.lower(), values.shape, "x")
    taken = take_frames(values, axes, 2 if "N" in order else 0, slice(1, 5) if "T" in order else slice(0, 1))
    assert taken.shape == (4 if "T" in order else 1, 8, 10, 3 if "C" in order else 1)
    for t, y, x, c in itertools.product(*map(range, taken.shape)):
        place = {"N": 2, "T": 1 + t, "H": y, "W": x, "C": c}
        assert taken[t, y, x, c] == values[tuple(place[letter] for letter in order)]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("NTHWX", "must have H and W, and each of the letters NTHWC at most once"),
        ("NTHHW", "at most once"),
        ("NTC", "must have H and W"),
        ("THWC", r"data.axes=THWC has 4 axes, but .* has 5: its shape is \(8, 12, 32, 48, 3\)"),
        ("NCTHW", "would have 12 channels by data.axes=NCTHW"),
        ("NTWCH", "would have 48 channels by data.axes=NTWCH"),
        ("NTHCW", "would have 48 channels by data.axes=NTHCW"),
        ("TNWHC", None),
    ],
)
def test_typed_axes_must_fit(tmp_path, axes, message):
    save(tmp_path / "x.npy", VIDEOS)
    if message is None:  # turned and out of order, but possible
        config(tmp_path, axes=axes).spec()
        return
    with pytest.raises(ZooError, match=message):
        config(tmp_path, axes=axes).spec()


@pytest.mark.parametrize(
    ("values", "levels", "expected"),
    [
        ([0.0, 0.5, 1.0], (0, 1), [0, 128, 255]),
        ([-1.0, 0.0, 1.0, 1.003], (-1, 1), [0, 128, 255, 255]),
        ([0, 100, 1000], (0, 1000), [0, 26, 255]),
        ([1.0, 0.0], (1, 0), [0, 255]),
    ],
)
def test_levels_are_mapped_to_bytes(values, levels, expected):
    assert Levels(*levels).to_bytes(np.array(values), "x").tolist() == expected


@pytest.mark.parametrize("value", [1.2, -0.1, np.nan, np.inf])
def test_values_beyond_the_levels_are_refused(value):
    with pytest.raises(ZooError, match=rf"x contains the value {value:g}, but black is 0 and white 1. .*data.levels="):
        Levels(0, 1).to_bytes(np.array([0.5, value, 0.0]), "x")


@pytest.mark.parametrize(
    ("convert", "levels"),
    [
        (lambda v: v, (0, 255)),
        (lambda v: (v / 255).astype(np.float32), (0, 1)),
        (lambda v: (v / 127.5 - 1).astype(np.float16), (-1, 1)),
        (lambda v: v.astype(np.float64), (0, 255)),
        (lambda v: v.astype(">i4"), (0, 255)),
        (lambda v: v > 127, (0, 1)),
    ],
)
def test_levels_are_found(tmp_path, convert, levels):
    save(tmp_path / "x.npy", convert(VIDEOS))
    found = find_arrays(config(tmp_path)).levels
    assert (found.black, found.white) == levels
    [first, *_] = read(tmp_path).values()
    expected = np.where(VIDEOS[0] > 127, 255, 0) if convert(VIDEOS).dtype == bool else VIDEOS[0]
    assert np.abs(first.astype(int) - expected).max() <= (0 if levels != (-1, 1) else 1)


@pytest.mark.parametrize("values", [VIDEOS.astype(np.uint16) * 16, VIDEOS // 200, VIDEOS - np.float32(300)])
def test_unclear_levels_are_asked_for(tmp_path, values):
    save(tmp_path / "x.npy", values)
    with pytest.raises(ZooError, match=r"x.npy are between .* and .*Type them, such as data.levels="):
        config(tmp_path).spec()
    low, high = float(values.min()), float(values.max())
    [first, *_] = read(tmp_path, levels=[low, high]).values()
    assert (first.min(), first.max()) == (0, 255)


# ------------------------------------------------------------------------------------------------------------- formats


def write_hdf5(path: Path, values: np.ndarray) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("group/video", data=values, chunks=(1, 4, *values.shape[2:]), compression="gzip")
        file["group/names"] = np.arange(8)


def write_zarr(path: Path, values: np.ndarray, version: int) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    array = group.create_array("video", shape=values.shape, dtype=values.dtype, chunks=(1, 4, *values.shape[2:]))
    array[:] = values


WRITERS = {
    "x.npy": lambda path, values: np.save(path, values),
    "fortran.npy": lambda path, values: np.save(path, np.asfortranarray(values)),
    "x.npz": lambda path, values: np.savez(path, video=values, number=np.arange(8), names=np.array(["a", "b"])),
    "x.h5": write_hdf5,
    "two.zarr": lambda path, values: write_zarr(path, values, 2),
    "three.zarr": lambda path, values: write_zarr(path, values, 3),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_frames(tmp_path, name):
    WRITERS[name](tmp_path / name, VIDEOS)
    for root in (tmp_path, tmp_path / name):
        videos = list(read(root).values())
        assert np.array_equal(np.stack(videos), VIDEOS)
    clips = open_split(tmp_path, frames=5)
    clip = clips.clip(1, 0, 5)
    _, file, *_, number, start = clip["key"].split("/")
    assert file == name
    assert np.array_equal(to_uint8(clip["video"].numpy()), VIDEOS[int(number), int(start) : int(start) + 5])
    assert len(clip["content"]) == 16
    assert len(clips) == 2 * (12 // 5)  # a fifth of eight videos


def test_the_published_moving_mnist(tmp_path):
    """(20, 10000, 64, 64): frames before videos, one channel."""
    digits = moving_square(9, 20, 64, 64, 1)[..., 0]
    save(tmp_path / "mnist_test_seq.npy", digits.swapaxes(0, 1))
    clips = open_split(tmp_path, "train", frames=20, height=64, width=64, channels=1)
    assert len(clips) == 7
    for index in range(7):
        clip = clips.clip(index, 0, 20)
        number = int(clip["key"].split("/")[2])
        torch.testing.assert_close(clip["video"], torch.from_numpy(digits[number][:, None] / np.float32(127.5)) - 1)
    (tmp_path / "mnist_test_seq.npy").rename(tmp_path / "digits.npy")
    with pytest.raises(ZooError, match=r"20 videos of 9 frames.*data.axes=TNHW if these are 9 videos of 20 frames"):
        config(tmp_path).spec()
    assert find_arrays(config(tmp_path, axes="TNHW")).arrays[0][1].size("N") == 9


def test_one_array_is_chosen_by_name(tmp_path):
    np.savez(tmp_path / "x.npz", left=VIDEOS, right=255 - VIDEOS)
    assert len(read(tmp_path)) == 16
    assert list(read(tmp_path, array="right")) == [f"x.npz/right/{n:06d}" for n in range(8)]
    with pytest.raises(ZooError, match=r"has an array of numbers of the name data.array=middle"):
        config(tmp_path, array="middle").spec()


def test_compressed_archives_are_unpacked_by_prepare(tmp_path, capsys):
    np.savez_compressed(tmp_path / "x.npz", video=VIDEOS)
    with pytest.raises(ZooError, match=r"x.npz is compressed.*python -m zoo.data.prepare arrays root=.*x.npz"):
        config(tmp_path).spec()
    prepare.main(["arrays", f"root={tmp_path}", "frames=4", "height=32", f"sheet={tmp_path / 's.png'}"])
    printed = capsys.readouterr().out
    assert "x.npz: 1 of 1 files unpacked" in printed
    assert "x/video.npy (8, 12, 32, 48, 3) NTHWC uint8 8 12" in " ".join(printed.split())
    assert "Videos: 6 for train, 2 for val, none for test." in printed
    assert "Black is 0, white is 255" in printed
    assert np.array_equal(np.stack(list(read(tmp_path).values())), VIDEOS)
    assert np.array_equal(np.stack(list(read(tmp_path / "x.npz").values())), VIDEOS[:])


def test_an_array_that_is_larger_than_memory_is_read_in_place(tmp_path):
    """A sparse file of 60 GB."""
    shape = (4000, 1000, 64, 80, 3)
    values = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, shape)
    values[3000, 400] = 200
    del values
    video = find_arrays(config(tmp_path, levels=[0, 255])).videos[3000]
    assert [int(frame.max()) for frame in video.read("frames", np.arange(399, 402))] == [0, 200, 0]


# -------------------------------------------------------------------------------------------------- splits and images


def test_names_state_splits(tmp_path):
    for place, split in enumerate(("train", "valid", "test")):
        save(tmp_path / f"moving-{split}.npy", VIDEOS[2 * place : 2 * place + 2 + (split == "train")])
    for split, name, count in (("train", "train", 9), ("val", "valid", 6), ("test", "test", 6)):
        clips = open_split(tmp_path, split)
        assert len(clips) == count
        assert all(f"moving-{name}.npy" in clips.clip(index, 0, 4)["key"] for index in range(count))
    with pytest.raises(ZooError, match=r"has arrays for test. Leave data.test_share out"):
        config(tmp_path, test_share=0.2).spec()
    (tmp_path / "moving-valid.npy").unlink()
    assert "moving-test.npy" in open_split(tmp_path, "val").clip(0, 0, 4)["key"]
    save(tmp_path / "other.npy", VIDEOS)
    with pytest.raises(ZooError, match=r"do not: other.npy. Put train, val or test into every name"):
        config(tmp_path).spec()


def test_a_single_video_is_split_in_time(tmp_path):
    save(tmp_path / "x.npy", moving_square(1, 20)[0])
    starts = {split: open_split(tmp_path, split, test_share=0.2).clip(0, 0, 4)["key"] for split in ("val", "test")}
    assert starts == {"val": "arrays/x.npy/16", "test": "arrays/x.npy/12"}


def test_images_are_clips_of_one_frame(tmp_path):
    save(tmp_path / "images.npy", VIDEOS[:, 0])
    clips = open_split(tmp_path, "train", axes="NHWC", frames=1)
    assert len(clips) == 6
    assert clips.clip(0, 0, 1)["video"].shape == (1, 3, 32, 48)
    with pytest.raises(ZooError, match=r"has the axes NHWC: these are images.*Type data.frames=1.*data.axes=THWC"):
        config(tmp_path, axes="NHWC").spec()
    save(tmp_path / "one" / "image.npy", VIDEOS[0, 0])
    with pytest.raises(ZooError, match=r"only usable video|images, clips of one frame"):
        config(tmp_path / "one", frames=1).spec()


def test_pictures_and_videos_are_sent_to_folder(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(ZooError, match=r"a.png is an image.*type data=folder data.root=\S+ data.frames=1"):
        config(tmp_path / "a.png").spec()
    with pytest.raises(ZooError, match=r"no file of arrays.*These are images: type data=folder .* data.frames=1"):
        config(tmp_path).spec()
    (tmp_path / "b.mp4").write_bytes(b"x")
    with pytest.raises(ZooError, match=r"is a video, not an array. Type data=folder"):
        config(tmp_path / "b.mp4").spec()
    with pytest.raises(ZooError, match=r"needs the folder with the arrays: type data.root=<folder>"):
        ArraysConfig().spec()


def test_other_arrays_are_left_out_with_a_note(tmp_path):
    save(tmp_path / "x.npy", VIDEOS)
    save(tmp_path / "actions.npy", np.zeros((8, 12, 4)))
    save(tmp_path / "short.npy", VIDEOS[:, :3])
    with pytest.warns(UserWarning, match="Left out") as caught:
        open_split(tmp_path, "train")
    notes = [str(each.message) for each in caught]
    assert notes == [
        "Left out, because they cannot be frames: actions.npy (8, 12, 4).",
        "Left out, because a clip has 4 frames: short.npy.",
    ]


# ------------------------------------------------------------------------------------------------------------ bad files


class Bomb:
    def __reduce__(self):
        return (Path.write_text, (Path("pickle-was-run"), ""))


def objects(path: Path) -> None:
    np.save(path, np.array([Bomb()] * 64, dtype=object).reshape(8, 8), allow_pickle=True)


def header(path: Path, text: str) -> None:
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": "|u1", "fortran_order": False, "shape": (8, 12, 32, 48)})
    path.write_bytes(data.getvalue()[:10] + text.ljust(len(data.getvalue()) - 11).encode() + b"\n")


BAD = {
    "objects": (objects, "array of numbers"),
    "empty": (lambda path: path.write_bytes(b""), "is no array of NumPy, or damaged"),
    "text": (lambda path: path.write_text("no array" * 9), "is no array of NumPy, or damaged"),
    "short": (
        lambda path: path.write_bytes(save(path, VIDEOS).read_bytes()[:-1]),
        r"is cut short.* needs 442,368 bytes",
    ),
    "claim": (
        lambda path: header(path, "{'descr': '|u1', 'fortran_order': False, 'shape': (9, 9999999, 64, 64)}"),
        "is cut short: .* but 0 are there",
    ),
    "negative": (lambda path: header(path, "{'descr': '|u1', 'fortran_order': False, 'shape': (-9, -9)}"), "x.npy"),
    "code": (lambda path: header(path, "__import__('os').abort()"), "is no array of NumPy, or damaged"),
    "deep": (lambda path: header(path, "(" * 90), "is no array of NumPy, or damaged"),
    "long": (lambda path: path.write_bytes(b"\x93NUMPY\x02\x00" + b"\xff" * 40), "header has 4,294,967,295 bytes"),
    "complex": (lambda path: save(path, np.ones((8, 12, 32), complex)), "array of numbers"),
    "vector": (lambda path: save(path, np.arange(900)), r"It contains x.npy \(900,\)"),
    "nan": (lambda path: save(path, np.full((8, 12, 32, 48), np.nan)), "no finite numbers"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_get_a_sentence(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write, message = BAD[kind]
    write(tmp_path / "x.npy")
    with pytest.raises(ZooError, match=message):
        config(tmp_path).spec()
    assert not (tmp_path / "pickle-was-run").exists()


def test_archives_that_are_none(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK no archive")
    with pytest.raises(ZooError, match=r"x.npz cannot be read: .*Copy it again"):
        config(tmp_path).spec()
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("video.npy", save(tmp_path / "v" / "video.npy", VIDEOS).read_bytes()[:5000])
    (tmp_path / "v" / "video.npy").unlink()
    with pytest.raises(ZooError, match=r"x.npz is cut short: video.npy needs 442,368 bytes"):
        config(tmp_path).spec()


def test_arrays_of_other_files_are_not_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(bytes(8 * 12 * 32 * 48))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        size = 8 * 12 * 32 * 48
        file.create_dataset("v", (8, 12, 32, 48), "u1", external=[(str(tmp_path / "secret"), 0, size)])
        file["link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/v")
    with pytest.raises(ZooError, match="the array v refers to other files, so it is not read"):
        config(tmp_path).spec()
    (tmp_path / "x.h5").write_bytes(b"no HDF5")
    with pytest.raises(ZooError, match=r"x.h5 cannot be read"):
        config(tmp_path).spec()


def test_a_pipe_in_the_place_of_a_chunk_is_refused(tmp_path):
    (tmp_path / "x.zarr" / "c").mkdir(parents=True)
    (tmp_path / "x.zarr" / ".zgroup").write_text("{}")
    os.mkfifo(tmp_path / "x.zarr" / "c" / "0.0.0.0")
    with pytest.raises(ZooError, match=r"0\.0\.0\.0 is no file"):
        config(tmp_path).spec()


def test_codecs_that_run_code_are_refused(tmp_path):
    pytest.importorskip("zarr")
    folder = tmp_path / "x.zarr"
    folder.mkdir()
    metadata = {"zarr_format": 2, "shape": [8, 12, 32, 48], "chunks": [1, 12, 32, 48], "dtype": "|u1", "order": "C"}
    for packed in (
        {"compressor": {"id": "pickle"}, "filters": None},
        {"compressor": None, "filters": [{"id": "pickle"}]},
    ):
        (folder / ".zarray").write_text(json.dumps(metadata | packed | {"fill_value": 0}))
        with pytest.raises(ZooError, match="is packed by pickle, which may run code"):
            config(tmp_path).spec()
    (folder / ".zarray").write_text("[" * 5000)
    with pytest.raises(ZooError, match="is no JSON"):
        config(tmp_path).spec()


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
def test_a_pipe_is_not_waited_for(tmp_path, suffix):
    os.mkfifo(tmp_path / f"x{suffix}")
    with pytest.raises(ZooError, match="is no file, but a folder, a pipe or a device"):
        config(tmp_path).spec()


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    (tmp_path / "x.hdf5").write_bytes(b"")
    with pytest.raises(ZooError, match=r"needs the package h5py. Type: pip install h5py"):
        config(tmp_path).spec()


@pytest.mark.parametrize("levels", [[0.0], [1.0, 1.0], [0.0, 1.0, 2.0], [float("nan"), 1.0]])
def test_levels_are_two_numbers(levels):
    with pytest.raises(ZooError, match=r"data.levels"):
        ArraysConfig(levels=levels)


def test_damaged_files_give_frames_or_a_sentence(tmp_path):
    """Files that are cut, or with bytes flipped, erased or exchanged at random places."""
    rng = random.Random(0)
    sound = {}
    for name in ("x.npy", "x.npz"):
        WRITERS[name](tmp_path / name, VIDEOS[:4, :4])
        sound[name] = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
    refused = 0
    for number in range(60):
        name = rng.choice(list(sound))
        path = tmp_path / f"{number}{Path(name).suffix}"
        path.write_bytes(damage(sound[name], rng))
        try:
            read(path)
        except ZooError as problem:
            assert str(path) in str(problem) or path.name in str(problem)  # noqa: PT017
            refused += 1
    assert refused > 5
