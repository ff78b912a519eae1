"""What the commands share: a user's mistakes printed as sentences, quiet libraries. Imports no torch."""

from __future__ import annotations

import functools
import gc
import importlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from hydra.errors import ConfigCompositionException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from zoo.errors import ZooError, listed, nearest

ENGINES = {
    "hydra/launcher/submitit_slurm": ("hydra-submitit-launcher", "slurm"),
    "hydra/launcher/submitit_local": ("hydra-submitit-launcher", "slurm"),
    "hydra/launcher/ray": ("hydra-ray-launcher", "ray"),
    "hydra/sweeper/optuna": ("hydra-optuna-sweeper", "optuna"),
}
"""Hydra's launchers and sweepers that are packages of their own, and the extras that bring them."""


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


def not_installed(option: str) -> str | None:
    """What to install for an option of Hydra's; None where that is not what is missing."""
    if option not in ENGINES:
        return None
    package, extra = ENGINES[option]
    return f"{option.rpartition('/')[2]} needs {package}, which is not installed: pip install 'video-zoo[{extra}]'"
