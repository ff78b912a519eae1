"""The experiments that train as published: the form of a clip, the batch, the length, and the preset."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from zoo.callbacks.ema import MovingAverage
from zoo.config.compose import conf_dir, prepare_hydra
from zoo.data.decode import write_video
from zoo.training.plan import plan

PUBLISHED = {  # experiment -> data, (frames, channels, height, width), clips of a batch, steps
    "svg_smmnist": ("moving_mnist", (15, 1, 64, 64), 100, 180_000),
    "mocogan_shapes": ("shapes", (16, 3, 64, 64), 32, 100_000),
    "mocogan_actions": ("strips", (16, 3, 64, 64), 32, 100_000),
    "vgan_golf": ("strips", (32, 3, 64, 64), 64, 65_000),
    "tgan_ucf101": ("classes", (16, 3, 64, 64), 32, 100_000),
    "tgan_golf": ("strips", (16, 3, 64, 64), 32, 100_000),
    "tgan_moving_mnist": ("moving_mnist", (16, 1, 64, 64), 32, 100_000),
    "tgan2_ucf101": ("classes", (16, 3, 192, 192), 4 * 32, 100_000),  # 4 GPUs
    "dvdgan_ucf101": ("classes", (16, 3, 128, 128), 16 * 32, 300_000),  # 16 devices
}
DEVICES = {"tgan2_ucf101": 4, "dvdgan_ucf101": 16}


def make_data(root: Path, kind: str) -> list[str]:
    """Four small films of two classes in the layout of a data set; returns the settings that point at them."""
    frames = np.random.default_rng(0).integers(0, 255, (48, 64, 85, 3), np.uint8)
    for name in ("bend/daria_bend", "bend/eli_bend", "jack/daria_jack", "jack/eli_jack"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "classes":
            write_video(path.with_suffix(".mp4"), frames, 25)
        if kind == "strips":
            cv2.imwrite(str(path.with_suffix(".png")), np.concatenate(list(frames[:, :, :64]), axis=0))
    return [f"data.root={root}"] if kind in ("classes", "strips") else []


def test_every_published_setting_is_listed():
    files = conf_dir().glob("experiment/*.yaml")
    assert {path.stem for path in files if "preset: paper" in path.read_text()} == set(PUBLISHED)


@pytest.mark.parametrize("experiment", PUBLISHED)
def test_trains_as_published(experiment: str, tmp_path: Path):
    data, form, batch, steps = PUBLISHED[experiment]
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        made = plan(compose("train", overrides=[f"experiment={experiment}", *make_data(tmp_path, data)]))
    spec, settings = made.spec, made.settings
    assert settings.model.preset == "paper"
    assert (spec.frames, spec.channels, spec.height, spec.width) == form
    assert settings.data.name == data
    assert settings.data.batch_size * DEVICES.get(experiment, 1) == batch
    assert settings.budget.clips == batch * steps
    decay = 0.9999 if experiment == "dvdgan_ucf101" else 0  # only DVD-GAN averages its weights
    assert MovingAverage(settings.callbacks.ema_half_life).decay(batch, batch * steps) == pytest.approx(decay, abs=1e-9)


def test_conditions_on_the_classes_of_the_data(tmp_path: Path):
    """mocogan_actions and dvdgan_ucf101 know the names of the folders."""
    prepare_hydra()
    for experiment, attribute, kind in (("mocogan_actions", "action", "strips"), ("dvdgan_ucf101", "class", "classes")):
        root = tmp_path / kind
        with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
            made = plan(compose("train", overrides=[f"experiment={experiment}", *make_data(root, kind)]))
        assert made.settings.model.category == attribute
        assert made.spec.attributes[attribute] == ("bend", "jack")
