"""Presets: sets of defaults of a model, which every typed setting wins over."""

import logging
import re
from dataclasses import asdict, dataclass

import pytest
import torch
from hydra import compose, initialize_config_dir
from lightning import Trainer
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from tests.helpers.commands import run_command
from zoo.callbacks import preset_hint
from zoo.callbacks.preset_hint import PresetHint
from zoo.card import MODELS, PAPER, ModelCard, ModelConfig, ModelRegistry
from zoo.comparison.gather import flat, name_variants
from zoo.config.compose import conf_dir, prepare_hydra
from zoo.errors import ZooError
from zoo.model import build
from zoo.models.pix2pixhd.config import PRESETS, Pix2PixHDConfig
from zoo.testing import tiny_clip, tiny_data, tiny_model
from zoo.testing.fake_device import train_on_fake_device
from zoo.training.plan import plan
from zoo.types import ClipSpec

CARD = ModelCard("acme", "Acme", "none", 2026, "none", "none", frozenset({"generate"}), (("video",),))
LABELS = tuple(map(str, range(35)))
CITY = ClipSpec(("video", "labels", "instances"), 1, 512, 1024, 17.0, label_names=LABELS)


def planned(*overrides):
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return plan(compose("train", overrides=["model=pix2pixhd", *overrides]))


def test_small_is_the_defaults():
    assert Pix2PixHDConfig(preset="small") == Pix2PixHDConfig()
    assert Pix2PixHDConfig().preset == "small"


def test_a_preset_changes_its_settings_and_no_others():
    small, paper = asdict(Pix2PixHDConfig()), asdict(Pix2PixHDConfig(preset="paper"))
    assert {name: paper[name] for name in paper if paper[name] != small[name]} == {"preset": "paper", **PRESETS[PAPER]}


def test_a_given_value_wins_also_where_it_is_the_default_of_small():
    default = Pix2PixHDConfig().lr
    assert Pix2PixHDConfig(preset="paper", lr=default).lr == default
    assert Pix2PixHDConfig("pix2pixhd", "paper").lr == PRESETS[PAPER]["lr"]
    assert planned("model.preset=paper", f"model.lr={default}").settings.model.lr == default
    assert planned("model.preset=paper").settings.model.lr == PRESETS[PAPER]["lr"]


def test_a_value_of_an_experiment_file_wins_over_the_preset():
    """conf/experiment/puppets128.yaml sets a width of 32, where the preset has 128."""
    model = planned("model=vid2vid", "experiment=puppets128", "model.preset=paper").settings.model
    assert (model.width, model.preset) == (32, "paper")
    assert model.lr == MODELS.find("vid2vid").config.presets[PAPER]["lr"]


def test_run_holds_resolved_values():
    """These are what a resumed training uses: every value is given then, so no preset is asked."""
    stored = planned("model.preset=paper", "model.blocks=3").config()["model"]
    assert stored["preset"] == "paper"
    assert stored["blocks"] == 3
    assert stored["norm"] == "instance"
    assert asdict(MODELS.config(stored | {"width": 24})) == stored | {"width": 24}


@pytest.mark.parametrize("make", [lambda: Pix2PixHDConfig(preset="papr"), lambda: planned("model.preset=papr")])
def test_an_unknown_preset_gets_a_suggestion(make):
    message = "model.preset=papr is not a choice. Did you mean `paper`? Choices: small, paper."
    with pytest.raises(ZooError, match=re.escape(message)):
        make()


def test_a_model_without_presets_has_small_alone():
    with pytest.raises(ZooError, match=r"Choices: small\."):
        MODELS.config({"name": "segmenter", "preset": "paper"})


def test_a_preset_of_an_unknown_setting_is_a_mistake_of_the_programmer():
    registry = ModelRegistry("model", package="zoo.models", group="none")

    @dataclass
    class AcmeConfig(ModelConfig):
        name: str = "acme"

    with pytest.raises(AssertionError, match="widht"):
        registry.register(CARD, builds=".model:Acme", presets={"paper": {"widht": 3}})(AcmeConfig)


def test_published_sizes_of_pix2pixhd_and_vid2vid():
    """182.5 M for the global generator of 1024 x 512; 411.3 M with foreground for vid2vid at 512 x 256."""
    spec = ClipSpec(("video", "labels", "instances", "flow"), 3, 256, 512, 17.0, LABELS, foreground=("26",))
    expected = {"pix2pixhd": (CITY, 182.5e6), "vid2vid": (spec, 411_335_241)}
    for name, (clips, size) in expected.items():
        with torch.device("meta"):
            model = build({"name": name, "preset": "paper", "perceptual": "none"}, clips)
        assert sum(p.numel() for p in model.generator.parameters()) == pytest.approx(size, rel=2e-3)


def test_variants_are_named_by_the_preset_and_what_was_typed():
    runs = [planned(), planned("model.preset=paper"), planned("model.preset=paper", "model.lr=0.5")]
    names = name_variants([flat({"model": run.config()["model"]}) for run in runs[:2]])
    assert names == ["pix2pixhd preset=small", "pix2pixhd preset=paper"]
    names = name_variants([flat({"model": run.config()["model"]}) for run in runs])
    assert names[2] == "pix2pixhd preset=paper lr=0.5"


def test_help_shows_the_values_of_the_preset():
    done = run_command("zoo.train", "model=pix2pixhd", "model.preset=paper", "model.width=32", "--help")
    text = " ".join(done.stdout.replace("(", " ").replace(")", " ").split())
    assert "model.preset= small, *paper" in text
    assert "model.lr=0.0002 float" in text
    assert "model.width=32 int" in text


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "zoo")
    return lambda: [record.getMessage() for record in caplog.records if record.name == preset_hint.__name__]


def loader(name):
    return DataLoader([tiny_clip(name)] * 2, batch_size=None)


@pytest.mark.parametrize(("name", "expected"), [("pix2pixhd", 1), ("segmenter", 0)])
def test_training_on_a_gpu_suggests_the_published_settings(name, expected, lines, tmp_path):
    train_on_fake_device(tiny_model(name), loader(name), [PresetHint()], tmp_path)
    assert [line.partition(": ")[2] for line in lines()] == ["model.preset=paper"] * expected


def test_no_suggestion_on_a_cpu_or_with_the_preset(lines, tmp_path):
    model = tiny_model("pix2pixhd")
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=1,
        logger=False,
        enable_checkpointing=False,
        callbacks=[PresetHint()],
        default_root_dir=tmp_path,
    )
    trainer.fit(model, loader("pix2pixhd"))
    settings = asdict(MODELS.find("pix2pixhd").config.tiny()) | {"preset": "paper"}
    train_on_fake_device(build(settings, tiny_data("pix2pixhd").spec()), loader("pix2pixhd"), [PresetHint()], tmp_path)
    assert lines() == []


def test_composed_settings_can_be_printed():
    """`--cfg job --resolve` resolves the defaults."""
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        config = compose("train", overrides=["model=pix2pixhd", "model.preset=paper"])
    assert OmegaConf.to_container(config.model, resolve=True)["width"] == PRESETS[PAPER]["width"]
