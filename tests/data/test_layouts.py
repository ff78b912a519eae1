"""The data sets `paired` and `cityscapes`: pairing, splits, spacing, mirroring, and errors."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.helpers.layouts import NAMES, NEEDED, clips, config, read_all_clips, replace_picture
from tests.helpers.paths import FIXTURES
from zoo.data.base import DATA_SETS
from zoo.data.decode import read_ids, read_image, write_video
from zoo.data.sequences.clips import SequenceClips, mirror_field
from zoo.data.sets.cityscapes.names import LABELS
from zoo.data.transforms import distance_map, edges
from zoo.errors import ZooError
from zoo.flow.warp import warp


@pytest.fixture
def root(tmp_path):
    """A function that copies a fixture, so nothing is cached beside the committed files."""
    return lambda name: shutil.copytree(FIXTURES / name, tmp_path / name)


def make_layouts():
    spec = importlib.util.spec_from_file_location("make_layouts", FIXTURES / "make_layouts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_files_are_what_the_script_writes(tmp_path):
    make_layouts().main(tmp_path)
    for name in NAMES:
        committed, made = (
            {p.relative_to(top / name) for p in (top / name).rglob("*.*")} for top in (FIXTURES, tmp_path)
        )
        assert committed == made
        for path in sorted(made)[::7]:
            if path.suffix == ".png":
                np.testing.assert_array_equal(read_image(FIXTURES / name / path), read_image(tmp_path / name / path))


@pytest.mark.parametrize("name", NAMES)
def test_settings_and_checks_import_no_torch(name):
    program = (
        "import sys; from zoo.data.base import DATA_SETS\n"
        f"DATA_SETS.config({{'name': '{name}', 'root': '{FIXTURES / name}'}} | {NEEDED[name]}).spec()\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# paired


def test_paired_files_are_paired_by_number(root):
    """The 12 frames of a walk are 1.jpg to 12.jpg; 2 precedes 10 in frames, labels and instances."""
    folder = root("paired")
    data = clips("paired", folder, frames=12, flip=False)
    clip = data.clip(0, 0, 12)
    assert clip["key"] == "paired/train/walk/0"
    for t in range(12):
        frame = read_image(folder / f"train_B/walk/{t + 1}.jpg")
        np.testing.assert_allclose(clip["video"][t].permute(1, 2, 0), frame / 127.5 - 1, atol=1e-6)
        np.testing.assert_array_equal(clip["labels"][t], read_ids(folder / f"train_A/walk/{t + 1}.png"))
        np.testing.assert_array_equal(clip["instances"][t], read_ids(folder / f"train_inst/walk/{t + 1}.png"))
    assert clip["instances"].max() == 300  # beyond 8 bits
    assert clip["labels"].dtype == clip["instances"].dtype == torch.int64


def test_val_is_used_for_validation_then_test(root):
    folder = root("paired")

    def names(split, **settings):
        return [segment.footage.video.name for segment in clips("paired", folder, split, **settings).segments]

    assert (names("train"), names("val")) == (["train/far/jump", "train/walk"], ["test/run"])
    for kind in ("A", "B", "inst"):
        shutil.copytree(folder / f"test_{kind}", folder / f"val_{kind}")
    assert (names("train"), names("val")) == (["train/far/jump", "train/walk"], ["val/run"])
    for kind in ("A", "B", "inst"):
        shutil.rmtree(folder / f"test_{kind}")
        shutil.rmtree(folder / f"val_{kind}")
    assert (names("train"), names("val")) == (["train/walk"], ["train/far/jump"])
    with pytest.raises(ZooError, match=r"No sequence for `val`.*far/jump, has 8: type evaluation.frames=8"):
        names("val", frames=12)  # what is held out does not depend on the length of a clip
    shutil.rmtree(folder / "train_A/far")
    shutil.rmtree(folder / "train_B/far")
    shutil.rmtree(folder / "train_inst/far")
    (train,), (val,) = (clips("paired", folder, split, val_share=0.4).segments for split in ("train", "val"))
    assert (train.first, train.stop, val.first, val.stop) == (0, 7, 7, 12)


def test_files_directly_in_the_folder_are_one_sequence(tmp_path):
    for number in range(12):
        picture = np.full((32, 64, 3), 20 * number, np.uint8)
        for kind, image in (("B", picture), ("A", picture[..., 0] // 20)):
            (tmp_path / f"train_{kind}").mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / f"train_{kind}" / f"{number}.png"), image)
    clip = clips("paired", tmp_path, "val", val_share=0.4).clip(0, 0, 4)
    assert clip["key"] == "paired/train/7"
    assert clip["labels"][:, 0, 0].tolist() == [7, 8, 9, 10]


def test_frames_and_maps_are_resized_alike(root):
    """After cropping and enlarging, frame and map show the same square."""
    folder = root("paired")
    for t in range(1, 13):
        frame, label = np.zeros((32, 64, 3), np.uint8), np.zeros((32, 64), np.uint8)
        frame[8:24, 24:40], label[8:24, 24:40] = 255, 5
        cv2.imwrite(str(folder / f"train_B/walk/{t}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, 100])
        cv2.imwrite(str(folder / f"train_A/walk/{t}.png"), label)
    clip = clips("paired", folder, frames=12, height=64, width=64).clip(0, 0, 12)
    square = torch.zeros(64, 64, dtype=torch.bool)
    square[16:48, 16:48] = True  # twice as large, of the middle 32 columns of 64
    assert torch.equal(clip["labels"][0] == 5, square)
    assert ((clip["video"][0].mean(0) > 0) == square).float().mean() > 0.99


def test_drawings_are_the_condition(root):
    folder = root("paired")
    shutil.rmtree(folder / "train_A")
    shutil.rmtree(folder / "test_A")
    for phase in ("train", "test"):
        shutil.copytree(folder / f"{phase}_B", folder / f"{phase}_A")
    settings = {"maps": "drawings", "label_count": None}
    spec = config("paired", folder, **settings).spec()
    assert (spec.condition_kind, spec.condition_channels) == ("drawings", 3)
    assert spec.fields == ("video", "instances", "condition")
    clip = clips("paired", folder, **settings).clip(0, 0, 4)
    assert torch.equal(clip["condition"], clip["video"])


@pytest.mark.parametrize(("kind", "channels"), [("edges", 1), ("distance", 2)])
def test_condition_from_frames_needs_no_maps(root, kind, channels):
    folder = root("paired")
    shutil.rmtree(folder / "train_A")
    shutil.rmtree(folder / "test_A")
    clip = clips("paired", folder, label_count=None, condition=kind, flip=False).clip(0, 0, 4)
    assert "labels" not in clip
    assert clip["condition"].shape == (4, channels, 32, 64)
    frame = ((clip["video"][2].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
    np.testing.assert_array_equal(clip["condition"][2, 0], edges(frame))
    np.testing.assert_array_equal(
        clip["condition"][2, -1], distance_map(edges(frame)) if channels == 2 else edges(frame)
    )


def test_foreground_takes_names_or_ids():
    root = FIXTURES / "paired"
    named = {"label_names": [f"class {i}" for i in range(14)], "label_count": None}
    assert config("paired", root, **named, foreground=["5", "class 4"]).spec().foreground == ("class 4", "class 5")
    assert config("cityscapes", FIXTURES / "cityscapes").spec().foreground == ("car",)
    assert config("cityscapes", FIXTURES / "cityscapes", foreground=["24", "26"]).spec().foreground == ("person", "car")
    with pytest.raises(
        ZooError,
        match=r"data.foreground=cra is neither the name of one of the 35 classes.*0 to 34\. Did you mean `car`",
    ):
        config("cityscapes", FIXTURES / "cityscapes", foreground=["cra"]).spec()


# random clips: spacing, mirroring, determinism


def test_spacing_is_random_up_to_max_step_in_training_only(root):
    folder = root("paired")
    data = clips("paired", folder, frames=4, max_step=3, flip=False, seed=1)
    seen = set()
    for epoch in range(60):
        clip = data.clip(2, epoch, 4)
        assert clip["key"].startswith("paired/train/walk/")
        place = clip["key"].rpartition("/")[2]
        start, _, step = place.partition("-step")
        numbers = [int(start) + i * int(step or 1) for i in range(4)]
        frames = [read_image(folder / f"train_B/walk/{n + 1}.jpg") for n in numbers]
        np.testing.assert_allclose(clip["video"].permute(0, 2, 3, 1), np.stack(frames) / 127.5 - 1, atol=1e-6)
        assert clip["fps"] == pytest.approx(12.5 / int(step or 1))
        seen.add(int(step or 1))
    assert seen == {1, 2, 3}
    # 8 frames with spacing 2 do not fit into 12 frames
    assert {data._draw_window(data.segments[1], 0, e, 8).step for e in range(30)} == {1}
    keys = [clips("paired", folder, "val", max_step=3).clip(i, 0, 4)["key"] for i in range(2)]
    assert keys == ["paired/test/run/0", "paired/test/run/4"]


def moving_square(folder, pixels):
    """Write 12 frames of a textured square that moves to the right, with label maps."""
    noise = np.random.default_rng(0).integers(60, 256, (40, 40, 3), np.uint8)
    texture = cv2.GaussianBlur(noise, (0, 0), 1.5)
    for kind in ("A", "B"):
        (folder / f"train_{kind}/a").mkdir(parents=True)
        shutil.copytree(folder / f"train_{kind}/a", folder / f"val_{kind}/a")
    for t in range(12):
        frame, label = np.full((64, 128, 3), 30, np.uint8), np.zeros((64, 128), np.uint8)
        x = 8 + pixels * t
        frame[12:52, x : x + 40], label[12:52, x : x + 40] = texture, 1
        for phase in ("train", "val"):
            cv2.imwrite(str(folder / f"{phase}_B/a/{t}.png"), frame)
            cv2.imwrite(str(folder / f"{phase}_A/a/{t}.png"), label)


@pytest.mark.parametrize("step", [1, 2])
def test_mirroring_inverts_motion_and_flow_still_warps_frames(tmp_path, step):
    moving_square(tmp_path, pixels=3)
    settings = {"height": 64, "width": 128, "flow": "dis", "label_count": 2, "max_step": step}
    data = clips("paired", tmp_path, **settings)
    found = {}
    for epoch in range(40):
        window = data._draw_window(data.segments[0], 0, epoch, 4)
        if window.step == step:
            found[window.mirrored] = data._load_clip(window)
    for is_mirrored, clip in found.items():
        square = clip["labels"][1:] == 1
        dx = clip["flow"][:, 0][square].median().item()
        assert dx == pytest.approx(3 * step if is_mirrored else -3 * step, abs=0.3)  # points to the earlier position
        moved = (warp(clip["video"][:-1], clip["flow"]) - clip["video"][1:]).abs().mean()
        assert moved < 0.3 * (clip["video"][:-1] - clip["video"][1:]).abs().mean()
        assert torch.equal(clip["labels"] == 1, clip["video"].mean(1) > 30 / 127.5 - 1 + 0.1)
        assert clip["key"].endswith("-mirrored") == is_mirrored
    assert set(found) == {True, False}
    assert not any(
        clips("paired", tmp_path, "val", **settings).clip(i, 0, 4)["key"].endswith("mirrored") for i in (0, 1)
    )


def test_mirror_field_on_small_examples():
    flow = torch.tensor([[[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]]])
    assert mirror_field("flow", flow, 3).tolist() == [[[[-3, -2, -1]], [[6, 5, 4]]]]
    assert mirror_field("labels", torch.tensor([[[7, 8, 9]]]), 3).tolist() == [[[9, 8, 7]]]
    assert mirror_field("pose", torch.tensor([[[0.0, 5.0, 1.0], [2.5, 6.0, 0.5]]]), 4).tolist() == [
        [[3, 5, 1], [0.5, 6, 0.5]]
    ]


@pytest.mark.parametrize("name", NAMES)
def test_training_clip_depends_on_seed_epoch_and_index_only(root, name):
    settings = {"max_step": 2, "flip": True}
    folder = root(name)
    data, again = (clips(name, folder, seed=3, **settings) for _ in range(2))
    clip, _, same = data.clip(1, 7, 4), again.clip(0, 0, 4), again.clip(1, 7, 4)
    assert clip.keys() == same.keys()
    assert all(torch.equal(torch.as_tensor(clip[k]), torch.as_tensor(same[k])) for k in clip if k != "key")
    keys = [data.clip(1, epoch, 4)["key"] for epoch in range(20)]
    assert keys == [again.clip(1, epoch, 4)["key"] for epoch in range(20)]
    assert keys != [clips(name, folder, seed=4, **settings).clip(1, epoch, 4)["key"] for epoch in range(20)]
    assert 4 < sum(key.endswith("mirrored") for key in keys) < 16


# cityscapes


def test_cityscapes_runs_are_consecutive_frames_with_label_maps(root):
    folder = root("cityscapes")
    spec = config("cityscapes", folder).spec()
    assert spec.fields == ("video", "labels", "instances")
    assert (len(spec.label_names), spec.label_names[26], spec.label_names[7], spec.label_names[34]) == (
        *(35, "car", "road"),
        "license plate",
    )
    data = clips("cityscapes", folder)
    assert isinstance(data, SequenceClips)

    def runs(split):
        return [(s.footage.video.name, s.length) for s in clips("cityscapes", folder, split).segments]

    assert runs("train") == [("train/aachen_000000_000000", 8), ("train/bad-hersfeld_000007_000120", 8)]
    assert runs("val") == [("val/lindau_000001_000019", 8)]  # of 9 frames the last has no map
    for label in folder.glob("gtFine/train/aachen/*_000004_gtFine_labelIds.png"):
        label.unlink()
    with pytest.warns(UserWarning, match=r"1 of 4 sequences .* skipped in `train`.* 4 frames, e.g. .* with 3"):
        assert runs("train")[0] == ("train/aachen_000000_000000", 4)  # 0 to 3; of 5 to 7 no clip of four fits


def test_cityscapes_uses_the_published_ids(root):
    folder = root("cityscapes")
    stem = folder / "gtFine/val/lindau/lindau_000001_000019_gtFine"
    replace_picture(f"{stem}_labelIds.png", lambda ids: np.where(ids == 23, 255, ids).astype(np.uint8))
    clip = clips("cityscapes", folder, "val", frames=8).clip(0, 0, 8)
    assert LABELS[24] == "person"
    assert set(clip["labels"][0].unique().tolist()) == {7, 11, 24, 34}  # sky was overwritten by the license plate's 255
    assert set(clip["labels"][1].unique().tolist()) == {7, 11, 23, 24}
    stored = read_ids(Path(f"{stem}_instanceIds.png"))
    assert set(np.unique(stored)) == {7, 11, 23, 24001}
    assert set(clip["instances"][0].unique().tolist()) == {0, 24001}
    assert torch.equal(clip["instances"][0] == 24001, clip["labels"][0] == 24)


def test_cityscapes_with_missing_instance_maps_provides_no_instances(root):
    folder = root("cityscapes")
    next(folder.glob("gtFine/train/*/*instanceIds.png")).unlink()
    assert config("cityscapes", folder).spec().fields == ("video", "labels")


def test_published_cityscapes_allows_single_frame_clips_only(root):
    folder = root("cityscapes")
    for path in folder.glob("gtFine/*/*/*.png"):
        if int(path.name.split("_")[2]) not in (4, 124, 23):
            path.unlink()
    with pytest.raises(
        ZooError,
        match=r"`train` .*: type data.frames=1. 2 of the frames in .*train have a label map, at most 1 in a row",
    ) as problem:
        config("cityscapes", folder).spec()
    assert "For longer clips run a segmenter" in str(problem.value)
    assert (
        clips("cityscapes", folder, frames=1, flip=False).clip(0, 0, 1)["key"]
        == "cityscapes/train/aachen_000000_000004/0"
    )
    (folder / "leftImg8bit_sequence").rename(folder / "leftImg8bit")
    assert len(clips("cityscapes", folder, "train", frames=1)) == 2


def test_cityscapes_defaults(tmp_path):
    default = DATA_SETS.config({"name": "cityscapes"})
    assert (default.height, default.fps, default.flip, default.foreground) == (128, 17, True, ["car"])
    spec = DATA_SETS.config({"name": "cityscapes", "root": str(FIXTURES / "cityscapes")}).spec()
    assert (spec.height, spec.width, spec.fps) == (128, 256, 17)


# wrong layouts and broken files


def film(path):
    write_video(path, (np.full((32, 48, 3), 8 * n, np.uint8) for n in range(12)), 12.5)


WRONG = [
    (
        "paired",
        "cityscapes",
        "",
        r"does not contain train_A or train_B.*type data=cityscapes data.root=.*cityscapes\.",
    ),
    ("paired", "pose", "", r"This is in the layout of `pose`: type data=pose"),
    ("cityscapes", "paired", "", r"Found there: test_A/, test_B/.*This is in the layout of `paired`: type data=paired"),
    ("pose", "cityscapes", "", r"It takes <root>/train_img/.*type data=cityscapes"),
    (
        "paired",
        "paired",
        "train_A",
        r"/train_A does not contain .*/paired is in the layout of `paired`: type data=paired data.root=.*/paired\.",
    ),
    ("paired", "paired", "train_B/far/jump", r"type data=paired data.root=.*/paired\."),
    ("cityscapes", "cityscapes", "gtFine/val", r"type data=cityscapes data.root=.*/cityscapes\."),
    ("pose", "pose", "..", r"/pose is in the layout of `pose`: type data=pose data.root=.*/pose\."),
]


@pytest.mark.parametrize(("asked", "there", "place", "message"), WRONG)
def test_error_for_a_wrong_root_suggests_the_nearest_layout(root, asked, there, place, message):
    with pytest.raises(ZooError, match=message):
        config(asked, root(there) / place).spec()


@pytest.mark.parametrize("name", NAMES)
def test_error_for_a_folder_of_videos_suggests_the_data_set_folder(tmp_path, name):
    film(tmp_path / "a.mp4")
    with pytest.raises(
        ZooError, match=rf"Found there: a.mp4.*folder of videos \(1 of them\): type data=folder data.root={tmp_path}"
    ):
        config(name, tmp_path).spec()
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(ZooError, match=r"Found there: nothing\.$"):
        config(name, tmp_path).spec()


def shrunk(picture):
    return picture[::2, ::2]


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = [
    (
        "paired",
        lambda r: shutil.rmtree(r / "train_B"),
        {},
        r"has train_A, train_inst, but no train_B with the frames",
    ),
    (
        "paired",
        lambda r: shutil.rmtree(r / "test_B"),
        {},
        r"no test_B.*Or move test_A, test_inst away to hold out data.val_share",
    ),
    ("paired", lambda r: shutil.rmtree(r / "train_A"), {}, r"has no train_A with label maps.*data.condition=edges"),
    (
        "paired",
        lambda r: (r / "train_A/walk/3.png").unlink(),
        {},
        r"train_B/walk has 12 files of frames, 11 of labels.*3.jpg of frames has no partner",
    ),
    (
        "paired",
        lambda r: shutil.rmtree(r / "train_B/walk"),
        {},
        r"train_B/walk has 0 frames, but .* has 12 files of labels",
    ),
    (
        "paired",
        lambda r: replace_picture(r / "train_A/walk/3.png", lambda p: p + 40),
        {},
        r"walk/3.png contains the label 5\d, but 14 classes.*label_count=5\d",
    ),
    (
        "paired",
        lambda r: replace_picture(r / "train_A/walk/3.png", shrunk),
        {},
        r"train_A/walk/3.png is 32x16 pixels, but its frame, .*train_B/walk/3.jpg, is 64x32",
    ),
    (
        "paired",
        lambda r: replace_picture(r / "train_inst/walk/12.png", shrunk),
        {},
        r"train_inst/walk/12.png is 32x16 pixels, but its frame",
    ),
    (
        "paired",
        lambda r: replace_picture(r / "train_B/walk/2.jpg", shrunk),
        {},
        r"walk/2.jpg is 32x16 pixels, but the first frame of its sequence, .*1.jpg, is 64x32",
    ),
    ("paired", lambda r: halve(r / "train_A/walk/7.png"), {}, r"train_A/walk/7.png cannot be read"),
    (
        "paired",
        lambda r: replace_picture(r / "train_A/far/jump/1.png", lambda p: np.stack([p, p, p + 9], -1)),
        {},
        r"jump/1.png has rgb24 pixels.*type data.maps=drawings",
    ),
    (
        "paired",
        lambda r: None,
        {"label_count": None},
        r"data=paired needs the number of classes: type data.label_count",
    ),
    ("paired", lambda r: None, {"maps": "drawing"}, r"Did you mean `drawings`"),
    ("paired", lambda r: None, {"maps": "drawings"}, r"data.maps=drawings has no classes"),
    (
        "paired",
        lambda r: None,
        {"maps": "drawings", "label_count": None, "condition": "edges"},
        r"Leave one of the two out",
    ),
    (
        "paired",
        lambda r: None,
        {"frames": 13},
        r"No sequence for `train`.*has the 13 frames.*walk, has 12: type data.frames=12",
    ),
    ("paired", lambda r: None, {"frames": 9}, r"No sequence for `val`.*test_B/run, has 8: type evaluation.frames=8"),
    (
        "paired",
        lambda r: None,
        {"max_step": 0},
        r"max_step is 0, but at least 1 is required. Try: data.max_step=1",
    ),
    ("paired", lambda r: None, {"flow": "diss"}, r"Did you mean `dis`"),
    ("paired", lambda r: None, {"root": ""}, r"data=paired needs the folder with the sequences.*train_A"),
    ("cityscapes", lambda r: shutil.rmtree(r / "gtFine"), {}, r"has leftImg8bit_sequence, but no gtFine\. It takes"),
    ("cityscapes", lambda r: shutil.rmtree(r / "leftImg8bit_sequence"), {}, r"has gtFine, but no leftImg8bit_sequence"),
    (
        "cityscapes",
        lambda r: replace_picture(r / "gtFine/train/aachen/aachen_000000_000000_gtFine_labelIds.png", lambda p: p + 30),
        {},
        r"aachen_000000_000000_gtFine_labelIds.png contains the label 5\d, but Cityscapes has the ids 0 to 33, and 255",
    ),
    (
        "cityscapes",
        lambda r: None,
        {"frames": 9},
        r"has the 9 frames of.*type data.frames=8. 16 of the frames in .*train have a label map, at most 8 in a row",
    ),
    (
        "pose",
        lambda r: (shutil.rmtree(r / "train_openpose"), shutil.rmtree(r / "train_densepose")),
        {},
        r"neither train_openpose nor train_densepose",
    ),
    (
        "pose",
        lambda r: (r / "test_openpose/bend/0003_keypoints.json").unlink(),
        {},
        r"bend has 8 files of frames, 7 of openpose.*0003.jpg of frames has no partner",
    ),
    (
        "pose",
        lambda r: (r / "train_openpose/jack/0000_keypoints.json").write_text('{"people": ['),
        {},
        r"0000_keypoints.json is not complete JSON",
    ),
    (
        "pose",
        lambda r: (r / "train_openpose/jack/0000_keypoints.json").write_text("[]"),
        {},
        r"is not in the format of OpenPose's --write_json",
    ),
    (
        "pose",
        lambda r: (r / "train_openpose/jack/0000_keypoints.json").write_text(
            '{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}'
        ),
        {},
        r"has 3 numbers in pose_keypoints_2d, but 75 are expected.*BODY_25",
    ),
    (
        "pose",
        lambda r: replace_picture(r / "train_densepose/jack/0004.png", shrunk),
        {},
        r"0004.png is 32x16 pixels, but its frame, .*train_img/jack/0004.jpg",
    ),
    ("pose", lambda r: None, {"limb_dropout": 1.5}, r"data.limb_dropout is 1.5, but less than 1 is required"),
    ("pose", lambda r: None, {"condition": "opnpose"}, r"Did you mean `openpose`"),
]


@pytest.mark.parametrize(
    ("name", "damage", "settings", "message"), DAMAGE, ids=[f"{d[0]}-{i}" for i, d in enumerate(DAMAGE)]
)
def test_invalid_files_and_settings_raise(root, name, damage, settings, message):
    folder = root(name)
    damage(folder)
    with pytest.raises(ZooError, match=message):
        read_all_clips(name, folder, **settings)
