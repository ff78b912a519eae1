"""Compose settings with Hydra: find conf/, register schemas, and turn ``main(config)`` into a command."""

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

from zoo.card import MODELS, ModelConfig
from zoo.cli import command, explain
from zoo.config.overrides import sweep_digest
from zoo.config.words import quote_words
from zoo.data.base import DATA_SETS
from zoo.devices.launch import run_folder
from zoo.errors import ZooError, check_choice, joined, suggest
from zoo.help.commands import COMMANDS
from zoo.help.text import asks_for_help, sections_of, show_help
from zoo.settings import BenchmarkSettings, EvaluateSettings, SampleSettings, Train

GROUPS = ("model", "data", "strategy", "experiment", "debug", "launcher", "sweep")
"""Groups of conf/ with several options, in the order of `--help`."""
LAST_SECTIONS = ("strategy", "trainer", "logger", "callbacks", "evaluation", "budget", "data", "model")
"""Groups of settings in the order of `--help`; the end is what a terminal shows."""

MAX_SHOWN = 200
"""Most characters of a path in an error."""

Sweep = Callable[[str, Sequence[str]], bool]
"""Takes the name and arguments of a command, runs a sweep if they request one, and returns whether they did."""


def conf_dir() -> Path:
    """The conf folder: inside the package in a wheel, beside it in a checkout or an editable install."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if (inside / "train.yaml").is_file() else package.parent / "conf"


class PluginConf(SearchPathPlugin):
    """Adds the conf folders of installed plug-ins, editable or not, to Hydra's search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append each plug-in's ``conf``."""
        for folder in [*MODELS.conf_dirs(), *DATA_SETS.conf_dirs()]:
            search_path.append("zoo-plugin", f"file://{folder}")


def prepare_hydra() -> None:
    """Register the schemas of all settings, the resolvers, and the conf folders of plug-ins with Hydra."""
    OmegaConf.register_new_resolver("zoo.digest", sweep_digest, replace=True)
    OmegaConf.register_new_resolver("zoo.run_folder", run_folder, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("zoo.preset", preset_default, replace=True)
    ConfigStore.__deepcopy__ = _share_store  # type: ignore[attr-defined]
    store = ConfigStore.instance()
    store.store(group="schema", name="train", node=Train)
    store.store(group="schema", name="sample", node=SampleSettings)
    store.store(group="schema", name="evaluate", node=EvaluateSettings)
    store.store(group="schema", name="benchmark", node=BenchmarkSettings)
    for entry in MODELS.entries():
        store.store(group="schema/model", name=entry.card.name, node=model_schema(entry.config))
    for data_set in DATA_SETS.entries():
        store.store(group="schema/data", name=data_set.card.name, node=data_set.config)
    leave_out_plugins_of_current_folder()
    if PluginConf not in Plugins.instance().discover(SearchPathPlugin):
        Plugins.instance().register(PluginConf)


def leave_out_plugins_of_current_folder() -> None:
    """Hide ``hydra_plugins`` of the current folder, which may be a download, from Hydra. That of a checkout stays."""
    import hydra_plugins

    here = Path.cwd().resolve() / "hydra_plugins"
    if here.parent != conf_dir().parent:
        hydra_plugins.__path__ = [path for path in hydra_plugins.__path__ if Path(path).resolve() != here]


def model_schema(config: type[ModelConfig]) -> DictConfig:
    """The settings of a model for Hydra. Defaults that depend on the preset are looked up when they are read, so a
    value from an experiment file or from the command line wins over them."""
    schema: DictConfig = OmegaConf.structured(config)
    for setting in {name for values in config.presets.values() for name in values}:
        schema[setting] = f"${{zoo.preset:${{.name}},${{.preset}},{setting}}}"
    return schema


def preset_default(model: str, preset: str, setting: str) -> Any:
    """Default of a setting of a model under a preset: the resolver `zoo.preset` of composed settings."""
    return MODELS.find(model).config.preset_default(preset, setting)


def _share_store(store: ConfigStore, memo: dict[int, Any]) -> ConfigStore:
    """Return the store itself from a deep copy.

    For `--help` Hydra copies the whole store once for each of 130 groups, which took 2 of 2.6 s. Sharing it is safe:
    Hydra copies every node that it loads from the store.
    """
    return store


def hydra_command(
    name: str, sweep: Sweep | None = None, prepare: Callable[[Sequence[str]], list[str]] = list
) -> Callable[[Callable[[DictConfig], Any]], Callable[[], Any]]:
    """Decorator that turns ``main(config)`` into a command with settings from ``conf/<name>.yaml``.

    sweep: `zoo.sweep.command.run_sweep` for a command that supports ``-m``. prepare: adds overrides that follow from
    the arguments.
    """

    def decorate(main: Callable[[DictConfig], Any]) -> Callable[[], Any]:
        @command
        @functools.wraps(main)
        def run() -> Any:
            sys.argv[1:] = prepare(quote_words(sys.argv[1:]))
            os.environ["HYDRA_FULL_ERROR"] = "1"  # raise errors instead of printing them and exiting
            errors: list[ZooError] = []
            started: list[DictConfig] = []
            task = _collect_errors(main, errors, started)
            try:
                prepare_hydra()
                if asks_for_help(sys.argv[1:]):
                    show_composed_help(name, sys.argv[1:])
                    return None
                if sweep and sweep(name, sys.argv[1:]):
                    return None
                result = _run_in_output_folder(name, task, started)
            except (HydraException, OmegaConfBaseException) as problem:
                raise ZooError(explain(problem)) from problem
            if errors:
                raise errors[0]
            return result

        return run

    return decorate


def compose_settings(name: str, overrides: Sequence[str]) -> DictConfig:
    """Compose the settings of a command as `hydra_command` does. Raises ZooError for an invalid override."""
    return compose_run(name, overrides)[0]


def compose_run(name: str, overrides: Sequence[str]) -> tuple[DictConfig, Path]:
    """Compose the settings of a command, and the folder in which it would run. Raises ZooError for an invalid one."""
    prepare_hydra()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name=name):
            config = compose(name, quote_words(overrides), return_hydra_config=True)
        folder = Path(config.hydra.run.dir)
    except (HydraException, OmegaConfBaseException) as problem:
        raise ZooError(explain(problem)) from problem
    settings = without_hydra(config)
    check_keys(settings)
    return settings, folder


def without_hydra(config: DictConfig) -> DictConfig:
    """Copy a config without Hydra's own settings."""
    settings = config.copy()
    with open_dict(settings):
        del settings["hydra"]
    return settings


def show_composed_help(name: str, arguments: Sequence[str]) -> None:
    """Print ``--help`` with the settings that the other arguments compose, such as those of the chosen model."""
    parsed = get_args_parser().parse_args(arguments)
    given = zip(parsed.overrides, OverridesParser.create().parse_overrides(parsed.overrides), strict=True)
    overrides = [text for text, override in given if not override.is_sweep_override()]
    folder = Path(parsed.config_path or conf_dir()).absolute()
    with initialize_config_dir(version_base="1.3", config_dir=str(folder), job_name=name):
        config = compose(parsed.config_name or name, overrides, return_hydra_config=True)
        chosen = config.hydra.runtime.choices
        loader = GlobalHydra.instance().config_loader()
        options = {group: loader.get_group_options(group) for group in loader.list_groups("")}
    choices = {
        group: ", ".join(f"*{option}" if option == chosen[group] else option for option in options[group])
        for group in GROUPS
        if group in chosen
    }
    if "model" in chosen:
        presets = MODELS.find(config.model.name).config.presets
        check_choice("model.preset", config.model.preset, presets)
        choices["model.preset"] = ", ".join(f"*{name}" if name == config.model.preset else name for name in presets)
    hidden = [f"{group}.name" for group in GROUPS if group in chosen]
    show_help(COMMANDS[name], sections_of(config, hidden, last=LAST_SECTIONS), choices)


def _run_in_output_folder(name: str, task: Callable[[DictConfig], Any], started: Sequence[DictConfig]) -> Any:
    """Let Hydra compose the settings, create the output folder and call the task, which appends to ``started``.

    Raises ZooError if the folder cannot be created.
    """
    try:
        return hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(task)()
    except OSError as problem:
        if started or not problem.filename:
            raise
        folder = os.fsdecode(problem.filename)
        raise ZooError(
            f"{folder[:MAX_SHOWN]}{'…' * (len(folder) > MAX_SHOWN)} cannot be made an output folder: "
            f"{problem.strerror}. Try: runs=<another folder>"
        ) from problem


def _collect_errors(
    main: Callable[[DictConfig], Any], errors: list[ZooError], started: list[DictConfig]
) -> Callable[[DictConfig], Any]:
    """Append a ZooError to ``errors`` instead of raising it in Hydra, which would print its own text around it.

    The config is appended to ``started`` first. The empty folder that Hydra has created is removed. In a sweep the
    error is raised, and Hydra runs the other jobs.
    """

    @functools.wraps(main)
    def task(config: DictConfig) -> Any:
        started.append(config)
        try:
            check_keys(config)
            return main(config)
        except ZooError as error:
            hydra_config = HydraConfig.get()
            folder = Path(hydra_config.runtime.output_dir)
            if folder != Path.cwd() and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
            if hydra_config.mode == RunMode.MULTIRUN:
                raise
            errors.append(error)
            return None

    return task


def check_keys(config: DictConfig, where: str = "") -> None:
    """Raise ZooError for keys that were added with ``+`` and that nothing reads. where: prefix of the keys."""
    kind = OmegaConf.get_type(config)
    if kind is not None and dataclasses.is_dataclass(kind):
        known = [field.name for field in dataclasses.fields(kind)]
        for key in map(str, config):
            if key not in known:
                raise ZooError(f"There is no setting `{where}{key}`.{suggest(key, known)} Known: {joined(known)}.")
    for key in map(str, config):
        if isinstance(child := config._get_node(key), DictConfig) and not child._is_missing():
            check_keys(child, f"{where}{key}.")
