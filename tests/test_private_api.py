"""Every private or semi-private part of lightning, torch and hydra that the zoo uses exists in the installed versions.

pyproject.toml bounds lightning and hydra above for that reason. A failing test names the part that is gone: find its
use in zoo/, adapt it, and change the name here.
"""

import re
import tomllib
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from pkgutil import resolve_name

import pytest
from lightning import Trainer
from omegaconf import OmegaConf

from tests.helpers.paths import ROOT

IMPORTED = [
    "hydra._internal.core_plugins.basic_sweeper:BasicSweeper.get_job_batch",
    "hydra._internal.core_plugins.basic_sweeper:BasicSweeper.validate_batch_is_legal",
    "hydra._internal.utils:get_args_parser",
    "lightning.pytorch.callbacks.progress.rich_progress:RichProgressBar._get_train_description",
    "lightning.pytorch.loops.training_epoch_loop:_TrainingEpochLoop._broadcast_sigterm_tensor",
    "lightning.pytorch.strategies:ModelParallelStrategy.lightning_restore_optimizer",
    "lightning.pytorch.trainer.call:_call_callback_hooks",  # in tests
    "torch:Tensor._is_view",
    "torch._dynamo.config:recompile_limit",
    "torch._functorch.config:donated_buffer",
    "torch.nn.modules.batchnorm:_BatchNorm._check_input_dim",
    "torch.nn.modules.module:register_module_buffer_registration_hook",
    "torch.nn.modules.module:register_module_module_registration_hook",
    "torch.nn.modules.module:register_module_parameter_registration_hook",
    "torch.utils._python_dispatch:TorchDispatchMode",
    "torch.utils._pytree:tree_flatten",
    "torch.utils._pytree:tree_leaves",
    "torch.utils._pytree:tree_map",
    "torch.utils._pytree:tree_map_only",
    "torch.utils._pytree:tree_unflatten",
    "torch.utils.data.dataloader:_MultiProcessingDataLoaderIter._shutdown_workers",
]
OF_TRAINER = [
    "fit_loop.epoch_loop._broadcast_sigterm_tensor",
    "fit_loop.epoch_loop.batch_idx",
    "fit_loop.epoch_loop.batch_progress.current.completed",
    "fit_loop.epoch_loop.batch_progress.current.ready",
    "fit_loop.epoch_loop.batch_progress.is_last_batch",
    "fit_loop.epoch_loop.val_loop.batch_progress.total.ready",
    "fit_loop.epoch_loop.val_loop.batch_progress.total.started",
    "is_last_batch",
    "log_every_n_steps",
    "precision_plugin.convert_input",
    "precision_plugin.val_step_context",
    "strategy.batch_to_device",
    "strategy.reduce_boolean_decision",
    "strategy.root_device",
    "val_check_batch",
]
OF_CONFIG = ["_get_node", "_is_missing", "_is_none"]


@pytest.mark.parametrize("name", IMPORTED)
def test_an_imported_part_exists(name):
    resolve_name(name)


@pytest.mark.parametrize("name", OF_TRAINER)
def test_a_part_of_the_trainer_exists(name):
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu")
    attrgetter(name)(trainer)


@pytest.mark.parametrize("name", OF_CONFIG)
def test_a_part_of_omegaconf_exists(name):
    assert callable(getattr(OmegaConf.create({"key": 1}), name))


def test_every_private_import_is_listed():
    """Names imported from private modules of lightning, torch and hydra, `from torch.utils._pytree import …`."""
    private = re.compile(
        r"^\s*from ((?:lightning|torch|hydra)(?:\.\w+)*\._\w+(?:\.\w+)*) import ([\w, ]+)", re.MULTILINE
    )
    known = {name.partition(".get_")[0].partition(".validate_")[0] for name in IMPORTED}
    for file in Path(ROOT, "zoo").rglob("*.py"):
        for module, names in private.findall(file.read_text()):
            assert {f"{module}:{name.strip()}" for name in names.split(",")} <= known, file


def test_lightning_is_bounded_by_the_next_minor_version():
    """The installed version is the latest that was tested."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    [requirement] = [line for line in dependencies if re.match(r"lightning\b", line)]
    major, minor = map(int, version("lightning").split(".")[:2])
    assert f"<{major}.{minor + 1}" in requirement.replace(" ", "")
