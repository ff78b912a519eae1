"""Every config composes, every default is defined once, and errors have a message with a suggestion."""

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
from zoo.config.compose import check_keys, conf_dir, prepare_hydra
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


def compose_config(*overrides: str, name: str = "train") -> DictConfig:
    prepare_hydra()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose(name, overrides=list(overrides))


@pytest.mark.parametrize("choice", [*CHOICES, *OVERLAYS])
def test_every_choice_composes(choice):
    try:
        config = compose_config(choice)
    except MissingConfigException as problem:
        if "not installed" in explain(problem):
            pytest.skip(explain(problem))
        raise
    check_keys(config)
    group, _, option = choice.partition("=")
    if group in ("model", "data"):
        assert config[group].name == option


def test_registered_names_and_yaml_files_are_the_same():
    assert {path.stem for path in CONF.glob("model/*.yaml")} == set(MODELS.names())
    assert {path.stem for path in CONF.glob("data/*.yaml")} == set(DATA_SETS.names())


def test_yaml_repeats_no_default():
    """A default of a dataclass is not repeated in conf/."""
    for group, registry in (("model", MODELS), ("data", DATA_SETS)):
        for entry in registry.entries():
            in_yaml = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{entry.card.name}.yaml"))
            defaults = OmegaConf.to_container(OmegaConf.structured(entry.config))
            repeated = {k for k, v in in_yaml.items() if k not in ("defaults", "name") and defaults.get(k) == v}
            assert repeated == set(), f"conf/{group}/{entry.card.name}.yaml repeats {repeated}"


def test_a_plan_resolves_every_default():
    planned: Plan = plan(compose_config())
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
def test_wrong_overrides_are_explained(override, sentence):
    with pytest.raises(Exception) as problem:  # noqa: PT011 -- the errors of Hydra and OmegaConf have no common base
        compose_config(override)
    assert explain(problem.value).startswith(sentence)


def test_unknown_keys_added_with_plus_are_refused():
    with pytest.raises(ZooError, match=r"no setting `budget\.clip`\. Did you mean `clips`\?"):
        check_keys(compose_config("+budget.clip=3"))


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["data.view=strret"], "data.view=strret is not a choice. Did you mean `street`?"),
        (["model.norm=layer"], "model.norm=layer is not a choice. Choices: instance, batch."),
        (["data.height=66"], "needs a height that is a multiple of 4 and at least 8; it is 66. Try: data.height=64"),
        (
            ["model.first_frame=given", "evaluation.context=0"],
            "needs at least 1 real frame. Try: evaluation.context=1",
        ),
        (["model.region=[haed]"], "model.region=haed is not a class of the data set. Did you mean `head`?"),
        (["callbacks.monitor=fid"], "callbacks.monitor=fid is not a choice. Choices: l1, psnr, ssim."),
        (["data.frames=2"], "vid2vid trains on clips of at least 3 frames, but data.frames=2. Try: data.frames=3"),
        (
            ["evaluation.context=8"],
            "evaluation.frames=8 with evaluation.context=8 leaves no frame to generate. Try: evaluation.frames=16",
        ),
        (["data=folder"], "data=folder needs the folder with the videos: type data.root=<folder>."),
        (["data=folder", "data.root=/no/such"], "/no/such"),
    ],
)
def test_preflight_errors(overrides, sentence):
    with pytest.raises(ZooError) as mistake:
        plan(compose_config(*overrides))
    assert sentence in str(mistake.value)


def test_missing_value_is_named():
    with pytest.raises(OmegaConfBaseException) as problem:
        OmegaConf.to_container(compose_config(name="sample"), throw_on_missing=True)
    assert explain(problem.value) == "`run` has no value. Type run=<value>."


def test_command_prints_an_error_and_leaves_no_files(tmp_path: Path):
    command = [sys.executable, "-m", "zoo.train", "model.norm=layer"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "model.norm=layer is not a choice. Choices: instance, batch."
    assert list(tmp_path.rglob("*")) in ([], [tmp_path / "runs"])
