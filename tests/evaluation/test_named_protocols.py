"""Named protocols: all fields at once, how they differ from the default, and the FVD of StyleGAN-V in plain numpy."""

from dataclasses import fields
from zlib import crc32

import cv2
import numpy as np
import pytest
import scipy.linalg
import torch

from zoo.data.base import DATA_SETS, build_set
from zoo.data.decode import write_video
from zoo.data.selection import random_start
from zoo.errors import ZooError
from zoo.evaluate import evaluate
from zoo.evaluation.metrics.frechet import gaussian_statistics, mean_and_covariance
from zoo.evaluation.named_protocols import NAMED_PROTOCOLS, apply_protocol
from zoo.evaluation.results import read_results
from zoo.randomness import mix
from zoo.settings import EvaluateSettings

NAME = "styleganv-fvd2048-16f"
FRAMES, SIDE, VIDEOS = 4, 16, 12


class Colours(torch.nn.Module):
    """Mean and deviation of the colours of a clip, and how much they change, (B, T, 3, H, W) -> (B, 9)."""

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        change = (video[:, 1:] - video[:, :-1]).abs().mean((1, 3, 4))
        return torch.cat([video.mean((1, 3, 4)), video.std((1, 3, 4), unbiased=False), change], 1)


def colours(video):
    """The same features in numpy: uint8 (T, H, W, 3) -> (9,)."""
    signed = video.astype(np.float32) / 127.5 - 1
    change = np.abs(np.diff(signed, axis=0)).mean((0, 1, 2))
    return np.concatenate([signed.mean((0, 1, 2)), signed.std((0, 1, 2)), change]).astype(np.float64)


def styleganv_fvd(real, fake):
    """Fréchet distance as StyleGAN-V computes it: raw second moments over N, and the square root of the product."""
    moments = []
    for features in (real, fake):
        mean = features.sum(0) / len(features)
        moments.append((mean, features.T @ features / len(features) - np.outer(mean, mean)))
    (m1, s1), (m2, s2) = moments
    root = scipy.linalg.sqrtm(s2 @ s1)
    return float(np.real(np.square(m2 - m1).sum() + np.trace(s2 + s1 - 2 * root)))


def write_images(folder, seed, count=VIDEOS, lengths=(5, 9)):
    """Folders of PNGs; every frame has colours of its own."""
    rng = np.random.default_rng(seed)
    videos = {}
    for number in range(count):
        name = f"v{number:03d}"
        frames = rng.integers(0, 256, (int(rng.integers(*lengths)), SIDE, SIDE, 3)).astype(np.uint8)
        frames[:] = frames // 4 + rng.integers(0, 120, (len(frames), 1, 1, 3)).astype(np.uint8) + 12 * seed
        (folder / name).mkdir(parents=True)
        for time, frame in enumerate(frames):
            cv2.imwrite(str(folder / name / f"{time:03d}.png"), frame[..., ::-1])
        videos[name] = frames
    return videos


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "colours.pt"
    torch.jit.script(Colours()).save(str(path))
    return path


def settings(tmp_path, network, **changed):
    size = {"clips": VIDEOS, "frames": FRAMES, "height": SIDE, "width": SIDE, "features": str(network)}
    folders = {"real": str(tmp_path / "real"), "fake": str(tmp_path / "fake"), "accelerator": "cpu"}
    return EvaluateSettings(**(folders | size | {"protocol": NAME, "protocol_name": "small"} | changed))


def test_all_fields_are_set_at_once():
    """The six points in which it differs from our default FVD, see the guide on evaluation."""
    applied, named = apply_protocol(EvaluateSettings(protocol=NAME, real="a", fake="b"))
    assert (named.name, named.renamed) == (NAME, False)
    assert (applied.metrics, applied.features) == (["fvd"], "i3d")
    assert named.variant == "covariance by N"
    assert named.selection == "random-clip"
    assert applied.split == "train"
    assert applied.fps is None
    assert (named.height, named.width, named.resize) == (256, 256, "none: as stored")
    assert (applied.clips, applied.frames, applied.context, applied.seed) == (2048, 16, 0, 0)
    known = {each.name for each in fields(EvaluateSettings)}
    assert all(set(each.settings) <= known for each in NAMED_PROTOCOLS.values())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"clips": 512}, r"clips=512, but the protocol styleganv-fvd2048-16f has clips=2048.*protocol_name=<name>"),
        ({"frames": 17}, "frames=17, but"),
        ({"fps": 25.0}, "fps=25.0, but"),
        ({"height": 128}, "height=128, but the protocol styleganv-fvd2048-16f has height=256"),
        ({"split": "val"}, "split=val, but the protocol styleganv-fvd2048-16f has split=train"),
        ({"features": "r3d_18"}, "features=r3d_18, but"),
        ({"metrics": ["fvd", "kvd"]}, "metrics="),
        ({"seed": 1}, "seed=1, but"),
        ({"protocol": "styleganv-fvd2048-16"}, "protocol=styleganv-fvd2048-16 .*styleganv-fvd2048-16f"),
        ({"protocol": None, "protocol_name": "mine"}, "renames a protocol, but none is chosen"),
        ({"protocol_name": NAME}, "is the name of a published protocol"),
        ({"protocol_name": "a b"}, "must consist of letters, digits"),
    ],
)
def test_overrides_are_refused_unless_the_protocol_is_renamed(changed, said):
    with pytest.raises(ZooError, match=said):
        apply_protocol(EvaluateSettings(**({"protocol": NAME} | changed)))


def test_a_setting_that_says_the_same_is_no_override_and_a_new_name_allows_others():
    same = {"clips": 2048, "metrics": ["fvd"]}
    assert apply_protocol(EvaluateSettings(protocol=NAME, **same)) == apply_protocol(EvaluateSettings(protocol=NAME))
    applied, named = apply_protocol(EvaluateSettings(protocol=NAME, protocol_name="mine", clips=512, fps=25.0))
    assert (applied.clips, applied.fps, applied.frames, named.name, named.renamed) == (512, 25.0, 16, "mine", True)


def test_arithmetic_is_that_of_styleganv(tmp_path, network):
    """Real clips at random places, generated ones from frame 0, covariances by N, against plain numpy."""
    real, fake = write_images(tmp_path / "real", 0), write_images(tmp_path / "fake", 1)
    [measured] = evaluate(settings(tmp_path, network))
    starts = {name: mix(crc32(name.encode()), 0) // 2**11 % (len(v) - FRAMES + 1) for name, v in real.items()}
    assert len(set(starts.values())) > 2
    real_features = np.stack([colours(v[starts[name] : starts[name] + FRAMES]) for name, v in sorted(real.items())])
    fake_features = np.stack([colours(v[:FRAMES]) for _, v in sorted(fake.items())])
    expected = styleganv_fvd(real_features, fake_features)
    assert measured.metrics["fvd"] == pytest.approx(expected, rel=1e-4)
    others = styleganv_fvd(np.stack([colours(v[:FRAMES]) for _, v in sorted(real.items())]), fake_features)
    assert abs(others / expected - 1) > 0.01  # another choice of clips would be seen
    by_n_minus_1 = np.square(real_features.mean(0) - fake_features.mean(0)).sum()
    by_n_minus_1 += (expected - by_n_minus_1) * VIDEOS / (VIDEOS - 1)
    assert abs(by_n_minus_1 / expected - 1) > 1e-3  # and so would the other covariance
    protocol = measured.protocol
    assert (protocol.name, protocol.variant, protocol.selection) == ("small", "covariance by N", "random-clip")
    assert (protocol.split, protocol.fps, protocol.resize) == ("train", 0, "none: as stored")
    assert protocol.key("fvd") == "train/fvd@12x4f-c0-16x16px-colours-small"
    assert read_results(tmp_path / "fake")[-1].protocol == protocol


def test_covariance_by_n():
    rows = torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 4.0]], dtype=torch.float64)
    mean, covariance = mean_and_covariance(gaussian_statistics(rows), by_n=True)
    assert mean.tolist() == [2.0, 2.0]
    assert covariance.flatten().tolist() == pytest.approx([8 / 3, 2.0, 2.0, 2.0])  # by hand
    assert mean_and_covariance(gaussian_statistics(rows))[1].flatten().tolist() == pytest.approx([4.0, 3.0, 3.0, 3.0])


def test_starts_are_uniform_and_depend_on_name_and_seed_alone():
    starts = [random_start(f"video{number}", 8, 4, 0) for number in range(2000)]
    counts = np.bincount(starts, minlength=5)
    assert len(counts) == 5
    assert np.abs(counts - 400).max() < 4 * np.sqrt(400 * 0.8)  # four standard deviations
    assert starts != [random_start(f"video{number}", 8, 4, 1) for number in range(2000)]
    assert random_start("a", 4, 4, 7) == 0
    assert random_start("video3", 8, 4, 0) == starts[3]


def test_short_real_videos_are_left_out_and_short_generated_ones_refused(tmp_path, network):
    write_images(tmp_path / "real", 0, VIDEOS + 2, (4, 7))
    write_images(tmp_path / "fake", 1)
    for time in (2, 3, 4, 5):
        (tmp_path / "real" / "v001" / f"{time:03d}.png").unlink(missing_ok=True)
    [measured] = evaluate(settings(tmp_path, network))
    assert measured.protocol.clips == VIDEOS  # v000, v002, v003, …: the first in order that are long enough
    with pytest.raises(ZooError, match=r"clips=13 protocol_name=<name>"):
        evaluate(settings(tmp_path, network, clips=VIDEOS + 2))
    (tmp_path / "fake" / "v001" / "003.png").unlink()
    (tmp_path / "fake" / "v001" / "004.png").unlink(missing_ok=True)
    for time in range(5, 9):
        (tmp_path / "fake" / "v001" / f"{time:03d}.png").unlink(missing_ok=True)
    with pytest.raises(ZooError, match=r"fewer than 4 frames: v001 \(3\)"):
        evaluate(settings(tmp_path, network))


def test_frames_are_neither_resized_nor_resampled(tmp_path, network):
    for side, fps in (("real", 30), ("fake", 15)):
        for number in range(VIDEOS):
            frames = np.full((6, SIDE, SIDE, 3), 20 * number, np.uint8)
            write_video(tmp_path / side / f"{side}{number}.mp4", frames, fps)
    [measured] = evaluate(settings(tmp_path, network))  # other frame rates: frame by frame
    assert measured.protocol.fps == 0
    with pytest.raises(ZooError, match="fewer than 8 frames"):
        evaluate(settings(tmp_path, network, frames=8))
    with pytest.raises(
        ZooError, match="has frames of 16x16 pixels, but small is of 32x16, and this protocol resizes none"
    ):
        evaluate(settings(tmp_path, network, height=32))


def test_published_name_needs_all_of_its_videos(tmp_path):
    write_images(tmp_path / "real", 0, 2, (16, 18))
    write_images(tmp_path / "fake", 1, 2, (16, 18))
    folders = {"real": str(tmp_path / "real"), "fake": str(tmp_path / "fake")}
    with pytest.raises(
        ZooError, match=r"The protocol is of 2048 videos, but real=.* has 2 of at least 16 frames.*clips=2"
    ):
        evaluate(EvaluateSettings(protocol=NAME, **folders))


def test_real_clips_of_a_data_set_are_one_of_each_video(tmp_path):
    """Without the spacing, the mirroring and the many clips per video of a training."""
    for number in range(6):
        frames = np.stack([np.full((24, 32, 3), 10 * time, np.uint8) for time in range(6 + 2 * number)])
        write_video(tmp_path / "set" / f"v{number}.mp4", frames, 12.5)
    config = DATA_SETS.config(
        {"name": "folder", "root": str(tmp_path / "set"), "flow": "none", "frames": 4, "height": 24, "width": 32}
    )
    clips = build_set(config, "train", frozenset(), 0)
    assert clips.video_count(4) == len(clips.segments) == 5
    assert clips.video_count(13) < 5
    seen = [clips.random_clip(number, 4, seed=3) for number in range(5)]
    for segment, clip in zip(clips.segments, seen, strict=True):
        name = segment.footage.video.name
        start = random_start(name, segment.length, 4, 3)
        assert clip["key"] == f"folder/{name}/{start}"
        assert clip["content"]
        shades = (clip["video"].mean((1, 2, 3)) + 1) * 127.5 / 10
        assert shades.round().tolist() == [start + time for time in range(4)]
    puppets = build_set(DATA_SETS.config({"name": "puppets", "height": 16, "channels": 1}), "train", frozenset(), 0)
    assert puppets.video_count(4) == len(puppets)
    assert puppets.random_clip(3, 4, 0)["key"] == "puppets/train-000003/0"
    assert puppets.random_clip(3, 4, 0)["video"].shape[1] == 1
