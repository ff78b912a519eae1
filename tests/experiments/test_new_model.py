"""A model may be registered before it is measured: no table asks for its row if its card says so."""

import importlib
import shutil
import sys

import pytest

import zoo.models
from tests.experiments import test_experiments, test_kills
from tests.helpers.cards import UNMEASURED, zoo_models
from tests.helpers.paths import FIXTURES, ROOT
from tests.helpers.scripts import load_script
from zoo import list_models
from zoo.card import MODELS


@pytest.fixture
def card(monkeypatch, tmp_path):
    """The path of the card of a new model, `minigan` of the plug-in, in a folder that is found as one of zoo/models."""
    shutil.copytree(FIXTURES / "plugin/zoo_minigan", tmp_path / "minigan")
    registered = {name: MODELS.find(name) for name in list_models()}
    with monkeypatch.context() as patch:
        patch.setattr(zoo.models, "__path__", [*zoo.models.__path__, str(tmp_path)])
        patch.setattr(MODELS, "_entries", registered)
        patch.setattr(MODELS, "_discovered", False)
        yield tmp_path / "minigan/README.md"
    for module in [name for name in sys.modules if name.startswith("zoo.models.minigan")]:
        del sys.modules[module]
    del zoo.models.minigan


def test_new_model_needs_no_rows(card, monkeypatch):
    card.write_text(f"# MiniGAN\n\nAn example. {UNMEASURED.replace(' ', chr(10), 3)}\n")
    assert "minigan" in zoo_models()
    test_experiments.test_readme_holds_the_leaderboard()
    test_experiments.test_leaderboard_holds_every_model_that_was_measured()
    test_kills.test_docs_tell_the_kills_of_every_model(load_script("experiments/kills/run.py"))
    monkeypatch.syspath_prepend(ROOT / "docs/_ext")
    tables = importlib.import_module("zoo_tables")
    assert "| [`minigan`](minigan.md) | A small Wasserstein GAN for grey clips |" in tables.models()
    assert "## `model=minigan`" in tables.model_settings()


@pytest.mark.parametrize("text", ["# MiniGAN\n", None])
def test_card_of_a_new_model_says_that_it_is_not_measured(card, text):
    if text:
        card.write_text(text)
    with pytest.raises(AssertionError, match=UNMEASURED):
        test_experiments.test_leaderboard_holds_every_model_that_was_measured()
    with pytest.raises(AssertionError):
        test_kills.test_docs_tell_the_kills_of_every_model(load_script("experiments/kills/run.py"))


def test_card_of_a_measured_model_does_not_say_that_it_is_not(card, monkeypatch):
    """A new row in the leaderboard, and an old sentence in the card."""
    card.write_text(UNMEASURED)
    script = load_script("experiments/leaderboard/run.py")
    monkeypatch.setitem(script.MODELS, "minigan", [1])
    monkeypatch.setattr(test_experiments, "load_script", lambda path: script)
    with pytest.raises(AssertionError, match=UNMEASURED):
        test_experiments.test_leaderboard_holds_every_model_that_was_measured()


def test_no_trace_is_left():
    """The fixture of the tests above registers `minigan` in them only."""
    assert "minigan" not in list_models()
