"""The registry: names, settings, plug-ins, and what importing it costs."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import hydra_plugins
import zoo
from zoo import ZooError, list_models
from zoo.card import MODELS, ModelCard
from zoo.config.compose import leave_out_plugins_of_current_folder
from zoo.errors import check_choice, suggest
from zoo.registry import Registry, _is_of_current_folder


def test_models_are_listed_by_pattern():
    assert "vid2vid" in list_models()
    assert list_models("vid2*") == ["vid2vid"]
    assert list_models("vid*") == [name for name in list_models() if name.startswith("vid")]
    assert list_models("nothing*") == []


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(ZooError, match=r"no model `vid2vidd`\. Did you mean `vid2vid`\?"):
        MODELS.find("vid2vidd")


def test_an_unknown_setting_gets_a_suggestion():
    with pytest.raises(ZooError, match=r"no setting `widht`\. Did you mean `width`\?"):
        MODELS.config({"name": "vid2vid", "widht": 3})
    with pytest.raises(ZooError, match="need the key `name`; found width"):
        MODELS.config({"width": 3})


def test_two_packages_cannot_register_one_name():
    registry: Registry[ModelCard] = Registry("model", package="zoo.models", group="none")
    card = MODELS.find("vid2vid").card
    registry.register(card, builds=".model:A")(type("A", (), {"__module__": "one.config"}))
    with pytest.raises(ZooError, match=r"one\.config and two\.config"):
        registry.register(card, builds=".model:B")(type("B", (), {"__module__": "two.config"}))


def test_broken_plugin_is_skipped_with_a_warning():
    registry: Registry[ModelCard] = Registry("model", package="zoo.models", group="none")
    with pytest.warns(UserWarning, match=r"plug-in `broken` .* skipped: importing no_such_module failed"):
        registry._load_plugin("broken", "no_such_module")


def test_a_wrong_choice_gets_a_suggestion():
    check_choice("data.view", "street", ("street", "person"))
    with pytest.raises(ZooError, match=r"data\.view=strret is not a choice\. Did you mean `street`\?"):
        check_choice("data.view", "strret", ("street", "person"))
    assert suggest("qqq", ["street"]) == ""


def test_a_card_with_unknown_words_is_refused():
    texts = {"title": "", "paper": "", "year": 1, "code_licence": "", "weights_licence": ""}
    with pytest.raises(ZooError, match=r"needs or uses=vido is not a choice\. Did you mean `video`"):
        ModelCard("x", tasks=frozenset({"predict"}), needs=(("vido",),), **texts)
    with pytest.raises(ZooError, match=r"tasks=guess is not a choice\. Choices: generate"):
        ModelCard("x", tasks=frozenset({"guess"}), needs=(("video",),), **texts)
    with pytest.raises(ZooError, match="strategies=gpu is not a choice"):
        ModelCard("x", tasks=frozenset({"predict"}), needs=(("video",),), strategies=frozenset({"gpu"}), **texts)


def test_cards_lists_and_preflight_import_no_torch():
    imports = "import sys, zoo, zoo.list, zoo.train, zoo.sample, zoo.config.compose as compose"
    code = f"{imports}; compose.prepare_hydra(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def make_download(folder):
    """A folder with modules and plug-ins under the names that a command imports. Each leaves a mark."""
    evil = f"open({str(folder / 'ran')!r}, 'a').write(__name__ + ' ')\n"
    for name in ("hydra_plugins/evil", "evil", "yaml", "omegaconf", "hydra", "logging", "wandb", "torch"):
        file = folder / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(evil)
    info = folder / "evil-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[zoo.models]\nevil = evil\n[zoo.data]\nevil = evil\n")
    return folder / "ran"


def test_a_command_imports_nothing_of_the_current_folder(tmp_path):
    ran = make_download(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, "-m", "zoo.sample", "run=nowhere"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "nowhere does not exist" in ended.stderr
    assert not ran.exists(), ran.read_text()


def test_plugins_of_the_current_folder_are_none_on_any_path(tmp_path, monkeypatch):
    """In a notebook or with ``python -c``, the current folder is on the path of imports."""
    make_download(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    [evil] = [point for point in entry_points(group="zoo.models") if point.name == "evil"]
    assert _is_of_current_folder(evil)
    monkeypatch.setattr(hydra_plugins, "__path__", [*hydra_plugins.__path__, str(tmp_path / "hydra_plugins")])
    leave_out_plugins_of_current_folder()
    assert str(tmp_path / "hydra_plugins") not in hydra_plugins.__path__
    assert len(hydra_plugins.__path__) > 0
    monkeypatch.chdir(tmp_path.parent)
    assert not _is_of_current_folder(evil)
