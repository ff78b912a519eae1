"""``--help`` shows every setting with its default and meaning, wrapped to the terminal, at once and without torch."""

import os
import resource
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

from zoo.card import MODELS
from zoo.config.compose import GROUPS, LAST_SECTIONS, conf_dir
from zoo.data.base import DATA_SETS
from zoo.help.commands import COMMANDS
from zoo.help.field_docs import field_docs
from zoo.help.text import settings_of, type_name
from zoo.settings import Budget, Train

SECONDS = 2.0  # of the processor: help waits for nothing, and other work on the machine does not count


def shown(module: str, *words: str, columns: int = 100) -> str:
    command = [sys.executable, "-m", module, *words, "--help"]
    environment = os.environ | {"COLUMNS": str(columns)}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def as_one_line(text: str) -> str:
    return " ".join(text.split())


def test_train_shows_choices_and_meanings():
    text = as_one_line(shown("zoo.train"))
    assert text.startswith("usage: python -m zoo.train ")
    assert field_docs(Budget)["clips"].partition(". ")[0] in text
    assert "budget.clips=null int?" in text
    for name in MODELS.names():
        assert name in text.partition("model= ")[2].partition("data= ")[0]
    assert "*vid2vid" in text
    assert "strategy= *auto, cpu, ddp" in text


@pytest.mark.parametrize("name", MODELS.names())
def test_help_beside_a_model_shows_its_settings(name):
    text = as_one_line(shown("zoo.train", f"model={name}"))
    config = MODELS.find(name).config
    for setting in settings_of(config, prefix="model."):
        if setting.name != "model.name":
            assert f"{setting.name}={setting.default} {setting.kind} {setting.meaning}" in text


def test_help_beside_a_data_set_shows_its_settings_and_values_that_are_typed():
    text = as_one_line(shown("zoo.train", "data=folder", "data.fps=5", "seed=1,2", "-m"))
    assert "data.image_fps=null float? Frame rate of folders of frames" in text
    assert "data.fps=5.0 float" in text
    assert "seed=1 int" in text


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_lines_fit_the_terminal(columns):
    lines = shown("zoo.train", columns=columns).splitlines()
    assert max(len(line) for line in lines if "python -m" not in line) <= min(columns, 120)


def test_a_mistake_beside_help_gets_a_sentence():
    command = [sys.executable, "-m", "zoo.train", "model=vid2vidd", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Did you mean `vid2vid`?" in done.stderr


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.words)
def test_every_command_explains_itself_at_once(command):
    before = processor_seconds()
    text = shown(command.module)
    assert processor_seconds() - before < SECONDS
    assert text.startswith(f"usage: python -m {command.module} ")
    assert command.summary in as_one_line(text)


@pytest.mark.parametrize("name", DATA_SETS.names())
def test_data_prepare_shows_the_settings_of_a_data_set(name):
    text = as_one_line(shown("zoo.data.prepare", name))
    for setting in settings_of(DATA_SETS.find(name).config):
        assert setting.name == "name" or f"{setting.name}={setting.default} {setting.kind} {setting.meaning}" in text


def test_hydra_help_stays():
    done = subprocess.run(
        [sys.executable, "-m", "zoo.train", "--hydra-help"], capture_output=True, text=True, check=True
    )
    assert "--cfg" in done.stdout


def test_a_reader_may_stop_reading():
    with subprocess.Popen([sys.executable, "-m", "zoo.train", "--help"], stdout=-1, stderr=-1, text=True) as running:
        running.stdout.close()
        assert running.stderr.read() == ""


def test_every_group_of_conf_with_a_choice_is_listed():
    options = {path.parent.name for path in conf_dir().glob("*/*.yaml") if path.stem != "default"}
    assert options == set(GROUPS)
    own = {"seed", "runs", "resume", "overwrite", "slots", "trust", "accept_changed_data"}
    assert set(field_docs(Train)) - own == set(LAST_SECTIONS)


def test_types_and_defaults_read_as_they_are_typed():
    @dataclass
    class Some:
        a: int | None = None
        b: bool = True
        c: float = 1 / 3
        d: float = 2e-4
        e: list[str] = field(default_factory=lambda: ["x", "y"])
        f: dict[str, int] = field(default_factory=dict)
        g: str = ""
        h: float = float("inf")

    found = {setting.name: (setting.kind, setting.default) for setting in settings_of(Some)}
    assert found == {
        "a": ("int?", "null"),
        "b": ("bool", "true"),
        "c": ("float", "0.3333"),
        "d": ("float", "0.0002"),
        "e": ("list", "[x,y]"),
        "f": ("dict", "{}"),
        "g": ("str", "''"),
        "h": ("float", "inf"),
    }
    assert [type_name(kind) for kind in (int | None, dict[str, Any] | None, bool)] == ["int?", "dict?", "bool"]
