"""Moving MNIST: bounces worked out by hand, published sets, statistics, exact truth, and MNIST's own files."""

import gzip
from fractions import Fraction
from hashlib import md5, sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.golden.svg import replay
from tests.helpers.paths import GOLDEN
from zoo.data import prepare
from zoo.data.base import build_set
from zoo.data.sets.moving_mnist import digits as reader
from zoo.data.sets.moving_mnist import published
from zoo.data.sets.moving_mnist.clips import SPLITS
from zoo.data.sets.moving_mnist.config import CARD, DIGIT_SIZES, MovingMNISTConfig
from zoo.data.sets.moving_mnist.digits import PACKAGED_FILE, load_digits, resize_digits
from zoo.data.sets.moving_mnist.files import IDX_NAMES
from zoo.data.sets.moving_mnist.published import SRVPTest
from zoo.data.sets.moving_mnist.render import Rendering
from zoo.data.sets.moving_mnist.trajectories import (
    Room,
    predrnn_trajectory,
    srvp_trajectory,
    svg_trajectory,
)
from zoo.errors import ZooError
from zoo.flow.warp import warp

ALL = CARD.fields
VARIANTS = list(DIGIT_SIZES)


def given(*values):
    """A draw that returns these values in order, and checks the ranges."""
    left = list(values)

    def draw(low, high):
        value = left.pop(0)
        assert low <= value < high
        return value

    draw.left = left
    return draw


def open_split(split="val", fields=ALL, seed=0, **settings):
    return build_set(MovingMNISTConfig(**settings), split, frozenset(fields), seed)


# ------------------------------------------------------------------------------------------------ how digits move


def test_svg_redraws_the_speed_where_a_digit_would_leave():
    draw = given(10, 30, 1, 3, -2, -1)  # x, y, dx, dy; then at the wall dy and dx
    path = svg_trajectory(draw, 4, Room(32, 32), redraws=True)
    assert path.positions.tolist() == [[10, 30], [11, 31], [10, 29], [9, 27]]  # y would be 33: put back to 31
    assert path.bounces.tolist() == [False, False, True, False]  # frame 2 is the first that moves by -1, -2
    assert not draw.left


def test_svg_handles_y_before_x_so_x_has_the_last_word_in_a_corner():
    # both leave at once: y draws dy 2 and dx 3, then x draws dx -4 and dy -1, so y leaves again: dy 1, dx 0
    draw = given(30, 1, 4, -3, 2, 3, -4, -1, 1, 0)
    path = svg_trajectory(draw, 4, Room(32, 32), redraws=True)
    assert path.positions.tolist() == [[30, 1], [31, 0], [27, 0], [27, 1]]
    assert path.bounces.tolist() == [False, False, True, True]


def test_svg_deterministic_reflects_and_draws_nothing():
    path = svg_trajectory(given(1, 20, -3, 2), 4, Room(32, 32), redraws=False)
    assert path.positions.tolist() == [[1, 20], [0, 22], [3, 24], [6, 26]]
    assert path.bounces.tolist() == [False, False, True, False]


def test_srvp_bounces_on_the_way():
    draw = given(34, 10, 4, 2, 3, -4)  # row, column, their speeds; then at the wall 3, made negative, and -4
    path = srvp_trajectory(draw, 3, Room(36, 36), redraws=True)
    # half a step to the wall (36, 11), half a step on: row 34.5, rounded to even, column 9
    assert path.positions.tolist() == [[10, 34], [9, 34], [5, 32]]  # 31.5 rounds to 32
    assert path.bounces.tolist() == [False, True, False]


def test_srvp_deterministic_keeps_the_speed():
    path = srvp_trajectory(given(35, 1, 4, -2), 3, Room(36, 36), redraws=False)
    # the wall of rows after 1/4 step, that of columns after 1/2: 36 - 3, and 1 on the other side
    assert path.positions.tolist() == [[1, 35], [1, 33], [3, 29]]
    assert path.bounces.tolist() == [False, True, False]


def exact_path(draw, frames, room, redraws):
    """SRVP's rule in rational numbers: the time to each wall, and the nearest first."""
    limits = room.y, room.x
    place = [Fraction(draw(0, limit + 1)) for limit in limits]
    speed = [draw(-4, 5), draw(-4, 5)]
    places = [list(place)]
    for _ in range(frames - 1):
        left = Fraction(1)
        while True:
            times = [
                Fraction(limit - p if v > 0 else p, abs(v)) if v else Fraction(2)
                for p, v, limit in zip(place, speed, limits, strict=True)
            ]
            time = min(times)
            if time >= left:  # exactly at the wall at the end of the step is not beyond it
                break
            place = [p + v * time for p, v in zip(place, speed, strict=True)]
            left -= time
            sides = [(1 if v > 0 else -1) if own == time else 0 for own, v in zip(times, speed, strict=True)]
            if redraws:
                speed = [draw(-4, 5), draw(-4, 5)]
            speed = [-side * abs(v) if side else v for side, v in zip(sides, speed, strict=True)]
        place = [p + v * left for p, v in zip(place, speed, strict=True)]
        places.append(list(place))
    return places


@pytest.mark.parametrize("redraws", [True, False])
def test_srvp_agrees_with_rational_numbers(redraws):
    for seed in range(40):
        one, two = (np.random.default_rng(seed) for _ in range(2))
        path = srvp_trajectory(lambda low, high, rng=one: int(rng.integers(low, high)), 60, Room(30, 36), redraws)
        exact = exact_path(lambda low, high, rng=two: int(rng.integers(low, high)), 60, Room(30, 36), redraws)
        for (x, y), (row, column) in zip(path.positions.tolist(), exact, strict=True):
            assert abs(x - column) <= Fraction(1, 2) + Fraction(1, 10**6)  # equal but for rounding halves
            assert abs(y - row) <= Fraction(1, 2) + Fraction(1, 10**6)


def test_predrnn_reflects_and_truncates():
    start = iter([0.95, 0.52, 0.0])  # x, y, angle 0: a tenth of 36 px to the right
    path = predrnn_trajectory(lambda: next(start), 3, Room(36, 36))
    assert path.positions.tolist() == [[36, 18], [32, 18], [28, 18]]  # 1.05 is put back to 1; then .9 and .8
    assert path.bounces.tolist() == [False, True, False]


def test_record_of_svg_is_replayed():
    record = torch.load(GOLDEN / "svg" / "moving_digits.pt", weights_only=True)
    answer = replay(record)["train"]
    assert answer["draws_used"] == record["train"]["draws_used"]
    assert torch.equal(answer["clip"], record["train"]["clip"])


# --------------------------------------------------------------------------------------------------- exact truth


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("digits", [1, 2, 3])
def test_truth_explains_every_pixel(variant, digits):
    clips = open_split(variant=variant, digits=digits)
    size = DIGIT_SIZES[variant]
    for index in range(4):
        clip = clips.clip(index, 0, 12)
        video, instances, visible = clip["video"], clip["instances"], clip["visibility"].bool()
        assert video.shape == (12, 1, 64, 64)
        warped = warp(video[:-1], clip["flow"])
        assert torch.equal(warped[visible], video[1:][visible])
        assert visible.float().mean() > 0.8
        assert torch.equal(instances > 0, video[:, 0] > -1)
        assert torch.equal(clip["labels"] > 0, instances > 0)
        assert clip["pose"].shape == (12, digits, 3)
        corners = clip["pose"][..., :2] - (size - 1) / 2
        assert torch.equal(corners, corners.round())
        moved = corners[:-1] - corners[1:]
        for digit in range(digits):
            where = instances[1:] == digit + 1
            for t in range(11):
                flow = clip["flow"][t].movedim(0, -1)[where[t]]
                assert (flow == moved[t, digit]).all()
            assert len(clip["labels"][instances == digit + 1].unique()) <= 1
        still = clip["flow"].movedim(1, -1)[instances[1:] == 0]
        assert (still == 0).all()


def test_bounces_are_where_the_speed_changes():
    """A digit that was not put back to the wall moves by one speed from bounce to bounce."""
    clips = open_split(fields={"pose", "bounces"})
    changes = bounces = 0
    for index in range(64):
        clip = clips.clip(index, 0, 25)
        corners = clip["pose"][..., :2] - 15.5
        moved = corners[1:] - corners[:-1]  # entry t leads to frame t + 1
        at_wall = ((corners == 0) | (corners == 31)).any(-1)
        changed = (moved[1:] != moved[:-1]).any(-1)  # entry t: frame t + 2 moves otherwise than frame t + 1
        calm = ~clip["bounces"][2:] & ~at_wall[2:]
        assert not (changed & calm).any()
        assert not clip["bounces"][0].any()
        changes += int(changed.sum())
        bounces += int(clip["bounces"].sum())
    assert changes > bounces > 100


@pytest.mark.parametrize(("added", "value"), [(True, 0.75), (False, 0.5)])
def test_overlapping_digits_are_added_or_the_brightest_is_in_front(added, value):
    """Two one-pixel-high digits, 0.25 and 0.5 bright, cross: the first moves right, the second stands."""
    pictures = np.stack([np.full((2, 2), level, np.float32) for level in (0.25, 0.5)])
    positions = np.array([[[0, 1], [1, 1], [3, 1]], [[2, 1], [2, 1], [2, 1]]])
    shown = Rendering(pictures, positions, 4, 6, added)
    assert shown.frames[:, 1].tolist() == [
        [0.25, 0.25, 0.5, 0.5, 0, 0],
        [0, 0.25, value, 0.5, 0, 0],
        [0, 0, 0.5, value, 0.25, 0],
    ]
    assert shown.instances[:, 1].tolist() == [[1, 1, 2, 2, 0, 0], [0, 1, 2, 2, 0, 0], [0, 0, 2, 2, 1, 0]]
    assert shown.flow[:, 0, 1].tolist() == [[0, -1, 0, 0, 0, 0], [0, 0, 0, 0, -2, 0]]
    # frame 1: pixel 0 was digit 1; pixel 2 is a mixture. Frame 2: pixel 4 shows what was mixed or hidden at pixel 2
    clear = not added
    assert shown.visibility[:, 0, 1].tolist() == [[0, 1, clear, 1, 1, 1], [1, 0, clear, clear, 0, 1]]
    assert shown.centres[1].tolist() == [[1.5, 1.5, 1], [2.5, 1.5, 1]]
    assert (np.minimum(shown.ink.sum(0), 1) == shown.frames).all() == added


def test_a_longer_clip_begins_with_the_shorter_one():
    for variant in VARIANTS:
        for split in SPLITS:
            clips = open_split(split, variant=variant)
            short, long = clips.clip(2, 0, 5), clips.clip(2, 0, 9)
            assert torch.equal(long["video"][:5], short["video"])
            assert torch.equal(long["bounces"][:5], short["bounces"])


def test_only_a_single_digit_has_an_attribute():
    assert MovingMNISTConfig(digits=1).spec().attributes == {"digit": tuple("0123456789")}
    assert "attributes" not in MovingMNISTConfig().spec().fields
    clip = open_split(digits=1).clip(0, 0, 4)
    [label] = (clip["labels"].unique() - 1).clamp(min=-1).unique()[1:].tolist()
    assert clip["attributes"]["digit"].tolist() == [label] * 4


def test_three_channels_are_equal():
    grey, rgb = (open_split(fields=(), channels=channels).clip(1, 0, 3)["video"] for channels in (1, 3))
    assert torch.equal(rgb, grey.expand(-1, 3, -1, -1))


# ----------------------------------------------------------------------------------------------------- statistics


def test_training_clips_are_new_in_every_epoch_and_for_every_seed():
    clips, other = (open_split("train", fields=(), seed=seed) for seed in (0, 1))
    videos = [clips.clip(0, 0, 6), clips.clip(0, 1, 6), other.clip(0, 0, 6), clips.clip(1, 0, 6)]
    assert len({clip["key"] for clip in videos}) == 4
    assert len({clip["video"].numpy().tobytes() for clip in videos}) == 4
    assert not any("content" in clip for clip in videos)


def test_speeds_and_places_are_uniform():
    rng = np.random.default_rng(0)
    paths = [
        svg_trajectory(lambda low, high: int(rng.integers(low, high)), 2, Room(10**6, 10**6), True).positions
        for _ in range(8100)
    ]
    speeds = np.array([path[1] - path[0] for path in paths])
    found, counts = np.unique(speeds, axis=0, return_counts=True)
    assert len(found) == 81  # (0, 0) is one of them: the digit stands still
    assert (counts > 60).all()
    assert (counts < 140).all()


def test_trivial_predictions_have_the_known_errors():
    """PSNR of frames 6 to 25, five given: last frame 11.4, mean of the given 12.9, black 13.1 dB, from a trial of
    another implementation on the same digits."""
    clips = open_split("test", fields=())
    video = torch.stack([clips.clip(index, 0, 25)["video"] for index in range(128)]) / 2 + 0.5
    context, future = video[:, :5], video[:, 5:]

    def psnr(made):
        return float(-10 * ((made - future) ** 2).mean((2, 3, 4)).log10().mean())

    assert psnr(context[:, -1:]) == pytest.approx(11.4, abs=0.4)
    assert psnr(context.mean(1, keepdim=True)) == pytest.approx(12.9, abs=0.3)
    assert psnr(torch.zeros_like(future)) == pytest.approx(13.1, abs=0.3)


# --------------------------------------------------------------------------------------------------------- digits


def test_packaged_digits_are_split_by_picture():
    assert PACKAGED_FILE.stat().st_size < 2 * 2**20
    parts = {split: load_digits(None, split) for split in SPLITS}
    assert {split: len(part) for split, part in parts.items()} == {"train": 8030, "val": 1025, "test": 945}
    pictures = [{image.tobytes() for image in part.images} for part in parts.values()]
    assert len(set.union(*pictures)) == sum(map(len, pictures))
    assert all(set(part.labels.tolist()) == set(range(10)) for part in parts.values())
    assert (PACKAGED_FILE.parent / "digits-LICENSE.txt").read_text().count("Attribution-ShareAlike 3.0") > 0


def test_digits_are_resized_as_pillow_does():
    image = pytest.importorskip("PIL.Image")
    pictures = load_digits(None, "val").images[:20]
    for size in (32, 64):
        shape = (size, size)
        expected = [np.asarray(image.fromarray(each).resize(shape, image.Resampling.BILINEAR)) for each in pictures]
        assert np.abs(resize_digits(pictures, size) * 255 - np.stack(expected)).max() < 1.01
    assert np.array_equal(resize_digits(pictures, 28) * 255, pictures)


def test_srvp_test_set_is_the_published_one():
    """Checksum of the first 20 clips; all 5,000 were compared with those of the original program."""
    test = SRVPTest(10_000, 2, Room(36, 36), redraws=True)
    assert test.digits[:2].tolist() == [[6252, 4684], [1731, 4742]]
    assert sorted(test.digits.flatten().tolist()) == list(range(10_000))
    places = np.array([[path.positions for path in test.trajectories(index)] for index in range(20)])
    assert places.shape == (20, 2, 100, 2)
    assert sha256(places.astype("<i8").tobytes()).hexdigest()[:16] == "5ad97d8cbbc4b20a"


def test_srvp_test_clips_use_every_digit_once():
    clips = open_split("test", variant="srvp")
    assert len(clips) == 945 // 2
    assert clips.clip(471, 0, 25)["key"] == "moving_mnist/test-000471/0"
    with pytest.raises(ZooError, match=r"variant=srvp have 100 frames, but 101 are needed. Try: frames=100"):
        clips.clip(0, 0, 101)
    assert len(open_split("val", variant="srvp")) == len(open_split("test")) == 1000


def idx(array):
    header = (0x800 + array.ndim).to_bytes(4, "big") + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, train=40, test=12, packed=False):
    """MNIST's four files with some of the packaged digits; returns the checksums of compressed ones."""
    folder.mkdir(parents=True)
    with np.load(PACKAGED_FILE) as packaged:
        images, labels = packaged["images"][::150], packaged["labels"][::150]
    sums = {}
    for part, chosen in (("train", slice(0, train)), ("t10k", slice(train, train + test))):
        for name, array in (("images-idx3", images[chosen]), ("labels-idx1", labels[chosen])):
            name = f"{part}-{name}-ubyte"
            content = gzip.compress(idx(array)) if packed else idx(array)
            (folder / (name + ".gz" * packed)).write_bytes(content)
            sums[f"{name}.gz"] = md5(content).hexdigest()
    return sums


@pytest.mark.parametrize("place", ["MNIST/raw", "raw", ".", "moving_mnist"])
def test_mnist_files_are_read(place, tmp_path):
    write_mnist(tmp_path / "root" / place)
    root = str(tmp_path / "root")
    counts = {split: len(load_digits(root, split)) for split in SPLITS}
    assert counts["train"] + counts["val"] == 40
    assert counts["val"] > 0
    assert counts["test"] == 12
    assert MovingMNISTConfig(root=root).shaping()["source"] == "MNIST"
    assert MovingMNISTConfig().shaping()["source"] == "first 10,000 of MNIST's training set"
    contents = {open_split(root=each).clip(0, 0, 2)["content"] for each in (root, None)}
    assert len(contents) == 2


def test_compressed_files_must_be_the_published_ones(tmp_path, monkeypatch):
    sums = write_mnist(tmp_path / "MNIST/raw", packed=True)
    with pytest.raises(ZooError, match=r"train-images-idx3-ubyte.gz is not the published file: its MD5 is"):
        load_digits(str(tmp_path), "val")
    monkeypatch.setattr(reader, "MD5", sums)
    assert len(load_digits(str(tmp_path), "test")) == 12


BAD_IDX = {
    "words": (b"no pictures", "not an IDX file of MNIST"),
    "empty": (b"", "not an IDX file of MNIST"),
    "labels": (idx(np.zeros(12)), "not an IDX file of MNIST"),
    "other size": (idx(np.zeros((12, 32, 32))), "not an IDX file of MNIST"),
    "truncated": (idx(np.zeros((12, 28, 28)))[:-1], "9407 bytes where 9408 are announced"),
    "huge claim": (idx(np.zeros((12, 28, 28)))[:4] + b"\xff" * 4 + idx(np.zeros((12, 28, 28)))[8:], "is incomplete"),
    "other count": (idx(np.zeros((11, 28, 28))), "11 pictures, but 12 labels"),
}


@pytest.mark.parametrize(("content", "sentence"), BAD_IDX.values(), ids=BAD_IDX)
def test_bad_idx_files_are_refused(content, sentence, tmp_path):
    write_mnist(tmp_path / "raw")
    (tmp_path / "raw" / "t10k-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ZooError, match=sentence):
        load_digits(str(tmp_path), "test")


def test_a_label_beyond_nine_is_refused(tmp_path):
    write_mnist(tmp_path / "raw")
    (tmp_path / "raw" / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(12, 10)))
    with pytest.raises(ZooError, match="has the label 10; digits are 0 to 9"):
        load_digits(str(tmp_path), "test")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ZooError, match=r"contains no file of MNIST. Expected: <root>/MNIST/raw"):
        open_split(root=str(tmp_path))
    write_mnist(tmp_path / "raw")
    (tmp_path / "raw" / IDX_NAMES[1]).unlink()
    with pytest.raises(ZooError, match=r"raw has no train-labels-idx1-ubyte"):
        open_split(root=str(tmp_path))


def write_published(folder: Path, monkeypatch) -> np.ndarray:
    folder.mkdir(parents=True)
    clips = np.random.default_rng(0).integers(0, 256, (20, 3, 64, 64), np.uint8)
    np.save(folder / "mnist_test_seq.npy", clips)
    content = (folder / "mnist_test_seq.npy").read_bytes()
    monkeypatch.setattr(published, "FILE_MD5", md5(content).hexdigest())
    return clips


@pytest.mark.parametrize("typed", [".", "MovingMNIST/mnist_test_seq.npy"])
def test_published_test_clips_are_read(typed, tmp_path, monkeypatch):
    stored = write_published(tmp_path / "MovingMNIST", monkeypatch)
    root = str(tmp_path / typed)
    config = MovingMNISTConfig(variant="predrnn", root=root)
    assert config.spec().fields == ("video",)  # nothing else is known of the published clips
    assert config.shaping()["test_clips"] == "mnist_test_seq.npy"
    clips = open_split("test", variant="predrnn", root=root)
    assert len(clips) == 3
    clip = clips.clip(2, 0, 20)
    assert set(clip) == {"video", "fps", "key", "content"}
    expected = torch.from_numpy(stored[:, 2, None].astype(np.float32) / 127.5 - 1)
    torch.testing.assert_close(clip["video"], expected)
    assert torch.equal(torch.cat([each["video"] for each in clips.pieces(2, 20)]), clip["video"])
    with pytest.raises(ZooError, match="have 20 frames, but 21 are needed"):
        clips.clip(0, 0, 21)
    assert open_split("val", variant="predrnn", root=root).clip(0, 0, 4)["video"].shape == (4, 1, 64, 64)
    other = MovingMNISTConfig(variant="predrnn", root=root, digits=3)  # not the form of the file
    assert "flow" in other.spec().fields


def test_another_file_in_place_of_the_published_clips_is_refused(tmp_path):
    np.save(tmp_path / "mnist_test_seq.npy", np.zeros((20, 3, 64, 64), np.uint8))
    with pytest.raises(ZooError, match="is not the published file"):
        len(open_split("test", variant="predrnn", root=str(tmp_path)))


# ------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"variant": "svgg"}, r"data.variant=svgg is not a choice. Did you mean `svg`\?"),
        ({"digits": 4}, "data.digits is 4, but at most 3 is allowed"),
        ({"height": 8}, "data.height is 8, but at least 16 is required"),
        ({"clips": 0}, "data.clips is 0, but at least 1 is required"),
        ({"fps": 0}, "data.fps is 0, but at least 0.001 is required"),
    ],
)
def test_bad_settings_are_explained(settings, sentence):
    with pytest.raises(ZooError, match=sentence):
        MovingMNISTConfig(**settings)


def test_the_length_of_an_epoch_is_not_in_the_protocol():
    assert MovingMNISTConfig(clips=5).shaping() == MovingMNISTConfig().shaping()
    assert MovingMNISTConfig(variant="srvp").shaping() != MovingMNISTConfig().shaping()


@pytest.mark.parametrize("size", [(32, 48), (128, 128), (16, 16)])
def test_digits_scale_with_the_frame(size):
    for variant in VARIANTS:
        clip = open_split(variant=variant, height=size[0], width=size[1]).clip(0, 0, 5)
        assert clip["video"].shape == (5, 1, *size)
        assert clip["video"].max() > 0


def test_preparation_shows_digits_and_clips(tmp_path, capsys):
    path = prepare.main(["moving_mnist", "variant=srvp", f"sheet={tmp_path / 'sheet.png'}"])
    said = capsys.readouterr().out
    assert path.is_file()
    assert "Digits that travel with the zoo" in said
    assert "CC BY-SA 3.0" in said
    assert "8030" in said
    assert "472" in said
    assert "data=moving_mnist data.variant=srvp" in said
    write_mnist(tmp_path / "MNIST/raw")
    prepare.main(["moving_mnist", f"root={tmp_path}", f"sheet={tmp_path / 'sheet.png'}"])
    assert f"Digits of MNIST under {tmp_path}" in "".join(capsys.readouterr().out.splitlines())
