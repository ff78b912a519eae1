"""Every config composes, every default has one owner, and a mistake gets a sentence."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.card import MODELS
from zoo.cli import explain
from zoo.config.compose import conf_dir, prepare_hydra, refuse_unknown
from zoo.data.base import DATA_SETS
from zoo.errors import ZooError
from zoo.training.plan import Plan, plan

CONF = conf_dir()
CHOICES = sorted(
    f"{path.parent.name}={path.stem}"
    for path in CONF.glob("*/*.yaml")
    if path.parent.name not in ("experiment", "debug")
)
OVERLAYS = sorted(
    f"{path.parent.name}={path.stem}"
    for path in CONF.glob("[ed]*/*.yaml")
    if path.parent.name in ("experiment", "debug")
)


def composed(*overrides: str, name: str = "train") -> DictConfig:
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose(name, overrides=list(overrides))


@pytest.mark.parametrize("choice", [*CHOICES, *OVERLAYS])
def test_every_choice_composes(choice):
    try:
        config = composed(choice)
    except MissingConfigException as problem:
        if "not installed" in explain(problem):
            pytest.skip(explain(problem))
        raise
    refuse_unknown(config)
    group, _, option = choice.partition("=")
    if group in ("model", "data"):
        assert config[group].name == option


def test_every_registered_name_has_a_yaml_and_the_other_way_round():
    assert {path.stem for path in CONF.glob("model/*.yaml")} == set(MODELS.names())
    assert {path.stem for path in CONF.glob("data/*.yaml")} == set(DATA_SETS.names())


def test_yaml_repeats_no_default():
    """What a dataclass owns, conf/ must not say again."""
    for group, registry in (("model", MODELS), ("data", DATA_SETS)):
        for entry in registry.entries():
            written = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{entry.card.name}.yaml"))
            owned = OmegaConf.to_container(OmegaConf.structured(entry.config))
            again = {k for k, v in written.items() if k not in ("defaults", "name") and owned.get(k) == v}
            assert again == set(), f"conf/{group}/{entry.card.name}.yaml repeats {again}"


def test_plan_leaves_no_choice_open():
    planned: Plan = plan(composed())
    assert planned.spec.width == 2 * planned.spec.height
    assert planned.config()["data"]["view"] == "street"
    assert planned.request.frames == planned.spec.frames


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model=vid2vidd", "There is no model `vid2vidd`. Did you mean `vid2vid`?"),
        ("data=pupets", "There is no data `pupets`. Did you mean `puppets`?"),
        ("modle=vid2vid", "There is no setting `modle`. Did you mean `model`?"),
        ("model.widht=3", "There is no setting `model.widht`. Did you mean `width`?"),
        ("model.width=abc", "`model.width`: Value 'abc' of type 'str' could not be converted to Integer."),
        ("budget.clips=many", "`budget.clips`: Value 'many' of type 'str' could not be converted to Integer."),
    ],
)
def test_mistakes_get_a_sentence(override, sentence):
    with pytest.raises(Exception) as problem:  # noqa: PT011 -- Hydra's and OmegaConf's have no common ancestor
        composed(override)
    assert explain(problem.value).startswith(sentence)


def test_forced_keys_are_refused():
    with pytest.raises(ZooError, match=r"no setting `budget\.clip`\. Did you mean `clips`\?"):
        refuse_unknown(composed("+budget.clip=3"))


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["data.view=strret"], "data.view=strret is not a choice. Did you mean `street`?"),
        (["model.norm=layer"], "model.norm=layer is not a choice. Choices: instance, batch."),
        (["data.height=66"], "needs a height that is a multiple of 4, 8 at least; it is 66. Try: data.height=64"),
        (
            ["model.first_frame=given", "evaluation.context=0"],
            "needs at least 1 real frame. Try: evaluation.context=1",
        ),
        (["model.region=[haed]"], "model.region=haed is not a class of the data set. Did you mean `head`?"),
        (["callbacks.monitor=fid"], "callbacks.monitor=fid is not a choice. Choices: l1, psnr, ssim."),
        (["data.frames=2"], "vid2vid trains on clips of at least 3 frames, but data.frames=2. Try: data.frames=3"),
        (["evaluation.context=8"], "evaluation.context=8 leaves no frame to generate in a clip of 8 frames."),
        (["data=folder"], "data=folder needs to know where the videos are: type data.root=<folder>."),
        (["data=folder", "data.root=/no/such"], "/no/such"),
    ],
)
def test_preflight_sentences(overrides, sentence):
    with pytest.raises(ZooError) as mistake:
        plan(composed(*overrides))
    assert sentence in str(mistake.value)


def test_missing_value_is_named():
    with pytest.raises(OmegaConfBaseException) as problem:
        OmegaConf.to_container(composed(name="sample"), throw_on_missing=True)
    assert explain(problem.value) == "`run` has no value. Type run=<value>."


def test_command_prints_a_sentence_and_leaves_nothing(tmp_path: Path):
    words = [sys.executable, "-m", "zoo.train", "model.norm=layer"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "model.norm=layer is not a choice. Choices: instance, batch."
    assert list(tmp_path.rglob("*")) in ([], [tmp_path / "runs"])
