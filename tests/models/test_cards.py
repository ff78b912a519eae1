"""The README of every model states its default settings, and they are the defaults.

A table with the columns ``setting`` and ``default``, and one more for each preset that it names, is held against the
dataclasses, so a card cannot keep a value that has changed.
"""

import re
from pathlib import Path

import pytest

import zoo
from tests.helpers.cards import zoo_models
from zoo.card import MODELS, SMALL
from zoo.data.base import DataConfig
from zoo.settings import Callbacks

HERE = Path(zoo.__file__).parent / "models"
NAMES = zoo_models()
STATED = ("width", "blocks", "norm", "lr", "discriminator_lr", "beta1", "pixel_weight", "max_gradient")
"""Settings that a card states if the model has them: sizes, norm, optimizer, clipping and the loss of pixels."""
AVERAGE = "callbacks.ema_half_life"


def stated_defaults(name: str) -> dict[tuple[str, str], str]:
    """(preset, setting) -> what the README says."""
    found = {}
    columns: list[str] | None = None
    for line in (HERE / name / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if cells[:2] == ["setting", "default"]:
            columns = [preset_of(head) for head in cells]
        elif not cells:
            columns = None
        elif columns and not cells[0].startswith("---"):
            for preset, cell in zip(columns, cells, strict=True):
                if preset:
                    found[preset, cells[0].strip("`")] = cell
    return found


def preset_of(head: str) -> str:
    """Preset of a column; "" for other columns, such as what is published."""
    if head == "default":
        return SMALL
    match = re.fullmatch(r"`model\.preset=(\w+)`", head)
    return match[1] if match else ""


def default_of(name: str, preset: str, setting: str) -> object:
    """Default of a setting as it is typed, such as ``model.lr``."""
    entry = MODELS.find(name)
    group, _, key = setting.partition(".")
    if setting == "budget.clips":
        return entry.card.budget_clips
    if group == "model":
        return entry.config.preset_default(preset, key)
    return getattr({"callbacks": Callbacks, "data": DataConfig}[group], key)


def equals(stated: str, default: object) -> bool:
    """Whether a cell states a default: ``0.001``, ``batch``, ``true``."""
    if isinstance(default, bool) or not isinstance(default, int | float):
        return stated == str(default).lower()
    return float(stated) == default


@pytest.mark.parametrize("name", NAMES)
def test_stated_defaults_are_the_defaults(name):
    stated = stated_defaults(name)
    assert stated
    for (preset, setting), cell in stated.items():
        assert equals(cell, default_of(name, preset, setting)), f"{name}, {preset}: {setting} is not {cell}"


@pytest.mark.parametrize("name", NAMES)
def test_sizes_norm_rates_and_losses_are_stated_for_every_preset(name):
    config, stated = MODELS.find(name).config, stated_defaults(name)
    for preset in config.presets:
        wanted = {f"model.{setting}" for setting in {*STATED, *config.presets[preset]} if hasattr(config, setting)}
        wanted -= {"model.appearance_downsamplings"}  # only for multimodal models
        assert {setting for of, setting in stated if of == preset} >= {*wanted, AVERAGE}


@pytest.mark.parametrize("name", NAMES)
def test_card_says_that_averaged_weights_are_used(name):
    text = " ".join((HERE / name / "README.md").read_text().split())
    assert re.search(r"moving average of the weights \(`callbacks.ema_half_life`\)", text)


def test_a_changed_default_is_noticed(monkeypatch):
    assert equals(stated_defaults("pix2pixhd")["paper", "model.lr"], 2e-4)
    assert not equals("0.001", 2e-4)
    assert not equals("batch", "instance")
    assert not equals("false", True)
