"""Paths and other texts arrive as the shell hands them over."""

import pytest

from zoo.config.compose import compose_run, compose_settings
from zoo.config.words import quote_word, quote_words
from zoo.data.check import parse_settings
from zoo.data.sets.folder.config import FolderConfig

PATHS = [
    "été/动画",
    "take #2",
    "@x",
    "it's [a] {b}",
    "a,b=c:d",
    "007",
    "1e3",
    "true",
    'say "x"',
    "back\\slash\\",
    "~old",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_arrives_as_it_is(path):
    assert compose_settings("train", ["model=vid2vid", "data=folder", f"data.root={path}"]).data.root == path
    assert parse_settings(FolderConfig, [f"root={path}"], "check")[0].root == path


def test_the_folder_of_a_run_is_a_text(tmp_path):
    assert compose_run("train", ["model=vid2vid", f"hydra.run.dir={tmp_path}/(1), a=b"])[1] == tmp_path / "(1), a=b"
    assert quote_word("hydra.run.dir='a b'") == "hydra.run.dir='a b'"
    assert quote_word("hydra.sweep.dir=${runs}/x") == "hydra.sweep.dir=${runs}/x"


def test_what_hydra_reads_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for word in ("seed=3", "model.preset=paper", "data.labels=null", "data.root='a b'", "data.root=${oc.env:X}", "-m"):
        assert quote_word(word) == word
    assert quote_word("data.root=~/x") == f"data.root={tmp_path}/x"
    assert quote_words(["-m", "data.flow=none,dis", "data.root=a b,c"]) == [
        "-m",
        "data.flow=none,dis",
        "data.root='a b',c",
    ]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "'a b'").mkdir()
    assert quote_word("data.root='a b'") == r"data.root='\'a b\''"  # a folder of this name


def test_other_settings_of_a_check_are_yaml():
    config, sheet = parse_settings(FolderConfig, ["root=x", "frames=4", "label_names=[a,b]", "labels=null"], "check")
    assert (config.frames, config.label_names, config.labels, sheet.name) == (4, ["a", "b"], None, "contact-sheet.png")
