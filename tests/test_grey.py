"""Grey videos: the formula, and a whole run of a grey model through training, samples, evaluation and comparison."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import zoo
from zoo.compare import compare
from zoo.data.decode import read_frames, write_video
from zoo.errors import ZooError
from zoo.evaluate import evaluate
from zoo.evaluation.results import read_results
from zoo.grey import to_grey, to_rgb
from zoo.sample import sample
from zoo.settings import EvaluateSettings, SampleSettings

H, W = 32, 64
TINY = (
    "model=videovae",
    "model.width=4",
    "model.code=8",
    "model.hidden=16",
    "model.features=16",
    "model.units=16",
    "data.channels=1",
    f"data.height={H}",
    f"data.width={W}",
    "data.frames=4",
    "data.workers=0",
    "data.batch_size=2",
    "budget.clips=4",
    "evaluation.clips=2",
    "evaluation.rounds=1",
    "callbacks.gallery_clips=2",
    "trainer.progress=false",
    "logger.wandb=disabled",
)


# ---------------------------------------------------------------- the formula


def test_luma_is_that_of_bt_601():
    red, green, blue, white = (
        torch.tensor(colour).view(3, 1, 1) for colour in [(1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0), (1.0, 1, 1)]
    )
    assert [to_grey(colour).item() for colour in (red, green, blue, white)] == pytest.approx([0.299, 0.587, 0.114, 1])


def test_luma_is_that_of_opencv_and_stays_in_range():
    image = np.random.default_rng(0).random((5, 7, 3), np.float32) * 2 - 1
    image[0, 0], image[1, 1] = 1, -1
    grey = to_grey(torch.from_numpy(image).permute(2, 0, 1))
    assert grey.shape == (1, 5, 7)
    np.testing.assert_allclose(grey[0], cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), atol=1e-6)
    assert grey.abs().max() == 1


def test_only_the_axis_of_the_channels_changes():
    """An axis of three that holds no colours is left alone."""
    video = torch.rand(3, 3, 3, 4, 5)
    grey = to_grey(video)
    assert grey.shape == (3, 3, 1, 4, 5)
    expected = 0.299 * video[1, 2, 0] + 0.587 * video[1, 2, 1] + 0.114 * video[1, 2, 2]
    torch.testing.assert_close(grey[1, 2, 0], expected)
    colours = to_rgb(grey)
    assert colours.shape == video.shape
    assert all(torch.equal(colours[:, :, channel], grey[:, :, 0]) for channel in range(3))


def test_grey_stays_grey_and_rgb_stays_rgb():
    grey, rgb = torch.rand(2, 1, 4, 5), torch.rand(2, 3, 4, 5)
    assert to_grey(grey) is grey
    assert to_rgb(rgb) is rgb
    torch.testing.assert_close(to_grey(to_rgb(grey)), grey)


# ---------------------------------------------------------------- a run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return zoo.fit(*TINY, f"runs={tmp_path_factory.mktemp('runs')}").folder


def is_grey(film: np.ndarray) -> bool:
    """Whether the colours of each pixel are equal, up to what the codec changes."""
    return int(np.ptp(film.astype(int), axis=-1).max()) <= 4


def test_the_gallery_of_a_grey_run_shows_equal_colours(run):
    clip = zoo.clips("puppets", frames=4, batch=2, height=H, width=W, channels=1)
    assert clip["video"].shape == (2, 4, 1, H, W)
    for number, video in enumerate(clip["video"]):
        film = np.stack(read_frames(run / f"clips/{number:02d}/real.mp4", range(4)))
        assert is_grey(film)
        np.testing.assert_allclose(film[..., 0], (video[:, 0].numpy() + 1) * 127.5, atol=24)
        assert is_grey(np.stack(read_frames(run / f"clips/{number:02d}/generated.mp4", range(4))))
    assert (run / "gallery.png").is_file()


def test_a_grey_run_measures_the_same_in_training_and_evaluation(run):
    [trained] = read_results(run)[:1]
    assert trained.protocol.settings["channels"] == 1
    assert trained.protocol.slug == f"2x4f-c1-{H}x{W}px-1ch"
    measured = evaluate(
        EvaluateSettings(run=str(run), clips=2, context=1, metrics=["l1", "psnr", "ssim", "memorisation"])
    )
    assert measured[0].protocol == trained.protocol
    for name in ("l1", "psnr", "ssim"):
        assert measured[0].metrics[name] == pytest.approx(trained.metrics[name], rel=1e-5)
    motion = evaluate(EvaluateSettings(run=str(run), clips=2, context=0, draws=2))
    assert {"diversity", "flicker", "motion_dis", "warping_error_dis"} <= {
        name for each in motion for name in each.metrics
    }


def test_a_sample_of_a_grey_model_has_one_channel_and_its_film_three(run, tmp_path):
    model = zoo.load(run)
    assert model.spec.channels == 1
    clip = zoo.clips("puppets", frames=4, batch=1, height=H, width=W, channels=1)
    video = model.sample(zoo.SampleRequest(4, clip, context=2)).video
    assert video.shape == (1, 4, 1, H, W)
    assert torch.equal(video[:, :2], clip["video"][:, :2])
    film, grid = sample(SampleSettings(run=str(run), clips=1, frames=5, context=1, out=str(tmp_path)))
    assert is_grey(np.stack(read_frames(film, range(5))))
    assert cv2.imread(str(grid)).shape[2] == 3
    zoo.save_video(video[0], tmp_path / "saved.mp4", fps=10)
    assert is_grey(np.stack(read_frames(tmp_path / "saved.mp4", range(4))))


def test_a_grey_model_continues_a_video_in_colours(run, tmp_path):
    colours = np.zeros((6, H, W, 3), np.uint8)
    colours[..., 0], colours[:, :, W // 2 :, 1] = 200, 100  # orange on the right
    write_video(tmp_path / "given.mp4", colours, 12.5)
    film, _ = sample(
        SampleSettings(run=str(run), given=str(tmp_path / "given.mp4"), frames=4, context=2, out=str(tmp_path / "out"))
    )
    shown = np.stack(read_frames(film, range(2)))
    assert is_grey(shown)
    assert shown[:, :, : W // 2 - 4].mean() == pytest.approx(0.299 * 200, abs=6)
    assert shown[:, :, W // 2 + 4 :].mean() == pytest.approx(0.299 * 200 + 0.587 * 100, abs=6)


def test_grey_and_coloured_runs_are_not_compared(run, tmp_path):
    coloured = zoo.fit(*(word for word in TINY if word != "data.channels=1"), f"runs={tmp_path}").folder
    assert "channels" not in read_results(coloured)[0].protocol.settings
    assert read_results(coloured)[0].protocol.slug == f"2x4f-c1-{H}x{W}px"
    compare([str(run)], out=tmp_path / "alone")
    assert is_grey(np.stack(read_frames(tmp_path / "alone/grid.mp4", range(2)))[:, 30:])
    with pytest.raises(ZooError, match=r"channels"):
        compare([str(run), str(coloured)], out=tmp_path / "both")
