"""The registry: names, settings, plug-ins, and what importing it costs."""

import subprocess
import sys

import pytest

from zoo import ZooError, list_models
from zoo.card import MODELS, ModelCard
from zoo.errors import check_choice, suggest
from zoo.registry import Registry


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
