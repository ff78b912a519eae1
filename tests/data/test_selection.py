"""Which clips are measured: spread over all clips of a split, so that no class is missed where files are sorted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from zoo.config.compose import conf_dir, prepare_hydra
from zoo.data.base import DATA_SETS
from zoo.data.decode import write_video
from zoo.data.module import VideoData
from zoo.data.selection import FIRST, SPREAD, choose_clips
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.evaluate import evaluate
from zoo.evaluation.suite import Suite
from zoo.settings import EvaluateSettings
from zoo.training.plan import plan
from zoo.training.trainer import train

CLASSES = 5


def write_classes(root: Path, videos: int = 4, shift: int = 0, names: str = "v") -> Path:
    """A folder of videos for each class; every class has a brightness of its own."""
    for kind in range(CLASSES):
        (root / f"class{kind}").mkdir(parents=True)
        for number in range(videos):
            frames = np.full((12, 24, 32, 3), 40 * kind + 4 * number + shift, np.uint8)
            write_video(root / f"class{kind}" / f"{names}{number}.mp4", frames, 12.5)
    return root


def classes_of(keys):
    return {part for key in keys for part in key.split("/") if part.startswith("class") and part != "classes"}


def test_first_numbers_of_more_clips_are_those_of_fewer():
    assert list(choose_clips(FIRST, 9, 3)) == [0, 1, 2]
    assert list(choose_clips(SPREAD, 8, 8)) == [0, 5, 2, 7, 4, 1, 6, 3]  # by i * 0.618…, modulo 1, by hand
    for available in (1, 2, 50, 1717):
        whole = list(choose_clips(SPREAD, available, available))
        assert sorted(whole) == list(range(available))
        assert all(list(choose_clips(SPREAD, available, n)) == whole[:n] for n in range(1, available, 7))


@pytest.mark.parametrize(("available", "count"), [(100, 10), (3783, 256), (1010, 202), (64, 63), (5000, 2048)])
def test_gaps_are_at_most_twice_the_mean_and_of_three_lengths(available, count):
    numbers = sorted(choose_clips(SPREAD, available, count))
    gaps = np.diff([*numbers, available + numbers[0]])
    assert gaps.max() <= 2 * available / count
    assert len(set(gaps[:-1])) <= 3
    # so k equal classes in sorted order are all met with 2 k clips
    assert {number * (count // 2) // available for number in numbers} == set(range(count // 2))


@pytest.mark.parametrize("name", ["classes", "folder"])
def test_rounds_of_a_training_meet_every_class(name, tmp_path):
    root = write_classes(tmp_path / "set", videos=6)
    settings = {"name": name, "root": str(root), "flow": "none", "val_share": 0.5, "workers": 0}
    config = DATA_SETS.config(settings | {"frames": 4, "height": 24, "width": 32})
    data = VideoData(config, frozenset(), 4, 1, evaluation_clips=2 * CLASSES, evaluation_frames=4)
    keys = [key for clip in data.val_dataloader() for key in clip["key"]]
    assert len(set(keys)) == 2 * CLASSES
    assert len(classes_of(keys)) == CLASSES
    again = VideoData(replace(config, batch_size=3), frozenset(), 4, 2, 2 * CLASSES, 4)
    assert [key for clip in again.val_dataloader() for key in clip["key"]] == keys


def test_random_sets_keep_their_first_clips():
    config = PuppetsConfig(height=16, width=16, view="person", workers=0)
    data = VideoData(config, frozenset(), 4, 1, evaluation_clips=3, evaluation_frames=2)
    keys = [key for clip in data.val_dataloader() for key in clip["key"]]
    assert (config.selection, keys) == ("first", [f"puppets/val-00000{number}/0" for number in range(3)])


@pytest.fixture
def measured_keys(monkeypatch):
    """Keys of the real clips that a suite has seen."""
    keys: list[str] = []
    update = Suite.update_videos

    def watched(suite, videos, real):
        keys.extend(videos.clip["key"] if real else ())
        return update(suite, videos, real)

    monkeypatch.setattr(Suite, "update_videos", watched)
    return keys


@pytest.mark.filterwarnings("ignore")
def test_evaluation_of_a_run_measures_the_clips_of_its_rounds(tmp_path, measured_keys):
    root = write_classes(tmp_path / "set")
    tiny = ["width=8", "downsamplings=1", "blocks=2", "discriminator_width=8", "discriminator_layers=2"]
    form = [f"root={root}", "frames=3", "height=32", "width=32", "workers=0", "val_share=0.5", "batch_size=2"]
    rest = ["budget.clips=2", "evaluation.rounds=1", "trainer.progress=false", "trainer.threads=1"]
    words = [f"evaluation.clips={2 * CLASSES}", "data=classes", "logger.wandb=disabled", *rest]
    words += [*(f"model.{word}" for word in tiny), *(f"data.{word}" for word in form)]
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        train(plan(compose("train", overrides=words)), tmp_path / "run")
    in_training = list(measured_keys)
    measured_keys.clear()
    [result] = evaluate(EvaluateSettings(run=str(tmp_path / "run"), clips=2 * CLASSES, metrics=["l1"], baselines=False))
    assert result.protocol.selection == "spread"
    assert measured_keys == in_training[-2 * CLASSES :]  # the last round
    assert len(classes_of(measured_keys)) == CLASSES


@pytest.mark.parametrize("names", ["v", "other"])
def test_folders_are_compared_over_all_classes(names, tmp_path, measured_keys):
    """Pairs stay pairs: each of them differs by the same shift of brightness."""
    real, fake = write_classes(tmp_path / "real"), write_classes(tmp_path / "fake", shift=20, names=names)
    metrics = ["l1", "flicker"] if names == "v" else ["flicker"]
    folders = {"real": str(real), "fake": str(fake), "frames": 4, "batch_size": 3, "metrics": metrics}
    [measured] = evaluate(EvaluateSettings(**folders, clips=2 * CLASSES))
    assert measured.protocol.selection == "spread"
    assert len(classes_of(measured_keys)) == CLASSES
    if names == "v":
        assert measured.metrics["l1"] == pytest.approx(20 / 127.5, abs=0.02)


def test_pairs_are_matched_by_name_whatever_the_kind_of_file(tmp_path):
    """`a` sorts before `a-b`, but `a-b.mp4` before `a.mp4`."""
    import cv2

    real, fake = tmp_path / "real", tmp_path / "fake"
    real.mkdir()
    for name, level in (("a", 40), ("a-b", 200)):
        frames = np.full((4, 24, 32, 3), level, np.uint8)
        write_video(real / f"{name}.mp4", frames, 12.5)
        (fake / name).mkdir(parents=True)
        for number, frame in enumerate(frames):
            cv2.imwrite(str(fake / name / f"{number}.png"), frame)
    [measured] = evaluate(EvaluateSettings(real=str(real), fake=str(fake), frames=4, fps=12.5, metrics=["l1"]))
    assert measured.metrics["l1"] < 0.03
