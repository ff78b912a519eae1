"""Settings composed by Hydra: where conf/ is, what it may hold, and a command around ``main(config)``."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from zoo.card import MODELS
from zoo.cli import command, explain
from zoo.config.overrides import digest
from zoo.data.base import DATA_SETS
from zoo.devices.launch import run_folder
from zoo.errors import ZooError, listed, nearest
from zoo.help.commands import COMMANDS
from zoo.help.text import asks_for_help, sections_of, show_help
from zoo.settings import BenchmarkSettings, EvaluateSettings, SampleSettings, Train

GROUPS = ("model", "data", "strategy", "experiment", "debug", "launcher", "sweep")
"""Groups of conf/ with several options, in the order of `--help`."""
LAST = ("strategy", "trainer", "logger", "callbacks", "evaluation", "budget", "data", "model")
"""Groups of settings in the order of `--help`; the end is what a terminal shows."""

Sweep = Callable[[str, Sequence[str]], bool]
"""Runs a sweep of a command, by its name, if its arguments ask for one; returns whether they did."""


def conf_dir() -> Path:
    """The conf folder: inside the package in a wheel, beside it in a checkout or an editable install."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if (inside / "train.yaml").is_file() else package.parent / "conf"


class PluginConf(SearchPathPlugin):
    """Lets Hydra find the conf folders of installed plug-ins, editable or not."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append each plug-in's ``conf``."""
        for folder in [*MODELS.conf_dirs(), *DATA_SETS.conf_dirs()]:
            search_path.append("zoo-plugin", f"file://{folder}")


def prepare_hydra() -> None:
    """Tell Hydra the names and types of every setting, and where plug-ins keep their YAML."""
    OmegaConf.register_new_resolver("zoo.digest", digest, replace=True)
    OmegaConf.register_new_resolver("zoo.run_folder", run_folder, replace=True, use_cache=True)
    ConfigStore.__deepcopy__ = _itself  # type: ignore[attr-defined]
    store = ConfigStore.instance()
    store.store(group="schema", name="train", node=Train)
    store.store(group="schema", name="sample", node=SampleSettings)
    store.store(group="schema", name="evaluate", node=EvaluateSettings)
    store.store(group="schema", name="benchmark", node=BenchmarkSettings)
    for entry in MODELS.entries():
        store.store(group="schema/model", name=entry.card.name, node=entry.config)
    for data_set in DATA_SETS.entries():
        store.store(group="schema/data", name=data_set.card.name, node=data_set.config)
    if PluginConf not in Plugins.instance().discover(SearchPathPlugin):
        Plugins.instance().register(PluginConf)


def _itself(store: ConfigStore, memo: dict[int, Any]) -> ConfigStore:
    """Hydra copies every setting there is for each of 130 groups that `--help` looks into, which took 2 of its 2.6
    seconds. Whatever it loads from the store it copies once more, so that nothing there is ever changed."""
    return store


def hydra_command(name: str, sweep: Sweep | None = None) -> Callable[[Callable[[DictConfig], Any]], Callable[[], Any]]:
    """Make ``main(config)`` a command whose settings are composed by Hydra from ``conf/<name>.yaml``.

    sweep: what runs the jobs of ``-m``, for a command that has them: `zoo.sweep.command.run_sweep`.
    """

    def decorate(main: Callable[[DictConfig], Any]) -> Callable[[], Any]:
        @command
        @functools.wraps(main)
        def run() -> Any:
            sys.argv[1:] = [free_key(word) for word in sys.argv[1:]]
            os.environ["HYDRA_FULL_ERROR"] = "1"  # let mistakes through to us instead of printing and exiting
            mistakes: list[ZooError] = []
            task = _quiet(main, mistakes)
            try:
                prepare_hydra()
                if asks_for_help(sys.argv[1:]):
                    show_composed_help(name, sys.argv[1:])
                    return None
                if sweep and sweep(name, sys.argv[1:]):
                    return None
                result = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(task)()
            except (HydraException, OmegaConfBaseException) as problem:
                raise ZooError(explain(problem)) from problem
            if mistakes:
                raise mistakes[0]
            return result

        return run

    return decorate


def compose_settings(name: str, overrides: Sequence[str]) -> DictConfig:
    """The settings of a command, as `hydra_command` composes them; raises ZooError for a wrong override."""
    return compose_run(name, overrides)[0]


def compose_run(name: str, overrides: Sequence[str]) -> tuple[DictConfig, Path]:
    """The same, and the folder that the command would run in."""
    prepare_hydra()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name=name):
            config = compose(name, [free_key(word) for word in overrides], return_hydra_config=True)
        folder = Path(config.hydra.run.dir)
    except (HydraException, OmegaConfBaseException) as problem:
        raise ZooError(explain(problem)) from problem
    settings = without_hydra(config)
    refuse_unknown(settings)
    return settings, folder


def without_hydra(config: DictConfig) -> DictConfig:
    """The settings of a command without Hydra's own."""
    settings = config.copy()
    with open_dict(settings):
        del settings["hydra"]
    return settings


def show_composed_help(name: str, words: Sequence[str]) -> None:
    """Print ``--help``: the settings as the other words compose them, so with those of the chosen model."""
    arguments = get_args_parser().parse_args(words)
    given = zip(arguments.overrides, OverridesParser.create().parse_overrides(arguments.overrides), strict=True)
    overrides = [word for word, override in given if not override.is_sweep_override()]
    folder = Path(arguments.config_path or conf_dir()).absolute()
    with initialize_config_dir(version_base="1.3", config_dir=str(folder), job_name=name):
        config = compose(arguments.config_name or name, overrides, return_hydra_config=True)
        chosen = config.hydra.runtime.choices
        loader = GlobalHydra.instance().config_loader()
        options = {group: loader.get_group_options(group) for group in loader.list_groups("")}
    choices = {
        group: ", ".join(f"*{option}" if option == chosen[group] else option for option in options[group])
        for group in GROUPS
        if group in chosen
    }
    hidden = [f"{group}.name" for group in choices]
    show_help(COMMANDS[name], sections_of(config, hidden, last=LAST), choices)


def free_key(word: str) -> str:
    """An attribute on the command line as Hydra takes it: a new key, and commas that belong to the value."""
    key, equals, value = word.partition("=")
    if not (equals and key.startswith("attributes.")) or value[:1] in ("'", '"'):
        return word
    return f"++{key}='{value}'"


def _quiet(main: Callable[[DictConfig], Any], mistakes: list[ZooError]) -> Callable[[DictConfig], Any]:
    """Carry a user's mistake past Hydra, which would print around it, and take back the folder Hydra made.

    In a sweep Hydra is left to do what it does: the other jobs go on.
    """

    @functools.wraps(main)
    def task(config: DictConfig) -> Any:
        try:
            refuse_unknown(config)
            return main(config)
        except ZooError as mistake:
            hydra_config = HydraConfig.get()
            folder = Path(hydra_config.runtime.output_dir)
            if folder != Path.cwd() and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
            if hydra_config.mode == RunMode.MULTIRUN:
                raise
            mistakes.append(mistake)
            return None

    return task


def refuse_unknown(config: DictConfig, where: str = "") -> None:
    """Refuse keys that were forced in with ``+`` and that nothing would read."""
    kind = OmegaConf.get_type(config)
    if kind is not None and dataclasses.is_dataclass(kind):
        known = [field.name for field in dataclasses.fields(kind)]
        for key in map(str, config):
            if key not in known:
                raise ZooError(f"There is no setting `{where}{key}`.{nearest(key, known)} Known: {listed(known)}.")
    for key in map(str, config):
        if isinstance(child := config._get_node(key), DictConfig) and not child._is_missing():
            refuse_unknown(child, f"{where}{key}.")
