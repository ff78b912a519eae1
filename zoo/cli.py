"""What the commands share: Hydra with the zoo's configs, and a user's mistakes told in sentences. Imports no torch."""

from __future__ import annotations

import dataclasses
import functools
import gc
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from zoo.card import MODELS
from zoo.data.base import DATA_SETS
from zoo.devices.launch import run_folder
from zoo.errors import ZooError, listed, nearest
from zoo.settings import BenchmarkSettings, EvaluateSettings, SampleSettings, Train
from zoo.sweep.words import digest, not_installed


def conf_dir() -> Path:
    """The conf folder: inside the package in a wheel, beside it in a checkout or an editable install."""
    package = Path(__file__).resolve().parent
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


def command(main: Callable[[], Any]) -> Callable[[], Any]:
    """Print a ZooError as its sentences and exit with 1; anything else is a bug and keeps its stack trace."""

    @functools.wraps(main)
    def run() -> Any:
        try:
            return main()
        except ZooError as mistake:
            print(f"\n{mistake}", file=sys.stderr)
            sys.exit(1)

    return run


def hydra_command(name: str, sweeps: bool = False) -> Callable[[Callable[[DictConfig], Any]], Callable[[], Any]]:
    """Make ``main(config)`` a command whose settings are composed by Hydra from ``conf/<name>.yaml``.

    sweeps: with ``-m`` each job is the same command in a process of its own, see `zoo.sweep`.
    """

    def decorate(main: Callable[[DictConfig], Any]) -> Callable[[], Any]:
        @command
        @functools.wraps(main)
        def run() -> Any:
            from zoo.sweep.command import asked, sweep  # which needs what stands here

            sys.argv[1:] = [free_key(word) for word in sys.argv[1:]]
            os.environ["HYDRA_FULL_ERROR"] = "1"  # let mistakes through to us instead of printing and exiting
            mistakes: list[ZooError] = []
            task = _quiet(main, mistakes)
            try:
                prepare_hydra()
                if sweeps and (arguments := asked(sys.argv[1:])):
                    return sweep(name, arguments)
                result = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(task)()
            except (HydraException, OmegaConfBaseException) as problem:
                raise ZooError(explain(problem)) from problem
            if mistakes:
                raise mistakes[0]
            return result

        return run

    return decorate


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


HARMLESS = (
    ".*isinstance\\(treespec, LeafSpec\\).*",  # Lightning 2.6 with torch 2.14, at each fit
    ".*exists and is not empty.*",  # the run folder holds the config before the trainer comes
    ".*does not have many workers.*",  # evaluation clips are few
    "`broadcast_buffers` is deprecated.*",  # what the other word does is not the same
    ".*You have overridden `on_before_batch_transfer`.*",  # a model's check of a batch is one for every data module
    ".*no pre-optimization state was saved.*",  # of manual optimization: the state after the step is right
)


def hush_libraries() -> None:
    """Leave the terminal to the zoo: silence Lightning's tips and the warnings that concern no user."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    for message in HARMLESS:
        warnings.filterwarnings("ignore", message=message)


def import_lightning() -> None:
    """Import torch and lightning, of which nothing is ever garbage: to look for some meanwhile takes 0.6 of 4 seconds,
    and more each time it is looked for later."""
    gc.disable()
    importlib.import_module("lightning")
    gc.freeze()
    gc.enable()


def plain(config: Any) -> Any:
    """A composed config as plain data, interpolations resolved."""
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)


def explain(problem: BaseException) -> str:
    """What Hydra or OmegaConf found wrong, as a sentence that names the nearest right thing."""
    if isinstance(problem, MissingConfigException) and problem.missing_cfg_file:
        return _explain_option(str(problem.missing_cfg_file), problem.options or [])
    cause = problem.__cause__ if isinstance(problem, ConfigCompositionException) else problem
    if isinstance(cause, MissingMandatoryValue):
        return f"`{cause.full_key}` has no value. Type {cause.full_key}=<value>."
    if isinstance(cause, ConfigKeyError | AttributeError) and isinstance(cause, OmegaConfBaseException):
        return _explain_key(cause)
    if isinstance(cause, OmegaConfBaseException):
        return f"`{cause.full_key}`: {str(cause.msg).splitlines()[0].rstrip('.')}."
    return str(problem)


def _explain_option(asked: str, options: Iterable[str]) -> str:
    if wanted := not_installed(asked):
        return wanted
    group, _, option = asked.rpartition("/")
    options = list(options)
    return f"There is no {group} `{option}`.{nearest(option, options)} Known: {listed(options)}."


def _explain_key(cause: OmegaConfBaseException) -> str:
    known = [str(key) for key in cause.parent_node] if isinstance(cause.parent_node, DictConfig) else []
    where = f"`{cause.full_key}`" if cause.full_key else f"`{cause.key}`"
    return f"There is no setting {where}.{nearest(str(cause.key), known)} Known: {listed(known)}."
