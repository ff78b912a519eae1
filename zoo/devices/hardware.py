"""Check strategy, precision and compilation against the model and this machine. Imports no torch."""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.card import ModelCard
from zoo.devices.launch import launched_processes
from zoo.errors import ZooError, check_choice, joined, suggest
from zoo.settings import Strategy, Train

if TYPE_CHECKING:
    import torch

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed", "64": "64-true"}
"""Short names of precisions -> Lightning's names, which are accepted as well."""
LIGHTNING_PRECISIONS = ("32-true", "64-true", "bf16-mixed", "bf16-true", "16-mixed", "16-true")
ACCELERATORS = ("auto", "cpu", "gpu", "mps")
COMPILERS = ("c++", "g++", "clang++")


def machine_problems(card: ModelCard, settings: Train) -> list[str]:
    """Error messages about settings that this machine or this model does not support."""
    check_choice("strategy.accelerator", settings.strategy.accelerator, ACCELERATORS)
    return [
        *_check_strategy(card, settings.strategy),
        *_check_devices(settings),
        *_check_precision(settings),
        *_check_compilation(settings),
        *_check_memory_format(settings),
    ]


def gpus() -> int:
    """Number of GPUs that PyTorch would find, as far as can be known without it; at least 1 if they are not listed."""
    try:
        if version("torch").endswith("+cpu"):
            return 0
    except PackageNotFoundError:
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([number for number in visible.split(",") if number.strip() not in ("", "-1")])
    numbered = [path for path in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    unlisted = Path("/dev/dxg").exists() or Path("/dev/kfd").exists()  # WSL on Windows, AMD
    return len(numbered) or int(unlisted)


def find_device(accelerator: str) -> torch.device:
    """Device for sampling or evaluation in one process; ``auto`` is a GPU if there is one, else the CPU.

    Raises ZooError for an unknown accelerator, and for one that PyTorch does not find.
    """
    import torch

    check_choice("accelerator", accelerator, ACCELERATORS)
    if accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator == "mps" and torch.backends.mps.is_available():
        return torch.device("mps")
    if accelerator in ("auto", "cpu"):
        return torch.device("cpu")
    raise ZooError(f"accelerator={accelerator}, but PyTorch finds no such device here. Try: accelerator=cpu")


def on_gpu(strategy: Strategy) -> bool:
    """Whether a training would run on GPUs."""
    return strategy.accelerator not in ("cpu", "mps") and gpus() > 0


def processes(settings: Train) -> int | None:
    """Number of processes of a training; None if ``strategy.devices`` is not a valid number or list."""
    strategy, devices = settings.strategy, settings.strategy.devices.strip("[] ")
    if devices in ("auto", "-1"):
        per_machine = max(gpus(), 1) if on_gpu(strategy) else 1
    elif "," in devices:
        per_machine = len([number for number in devices.split(",") if number.strip()])
    elif devices.isdigit() and int(devices):
        per_machine = int(devices)
    else:
        return None
    return per_machine * settings.trainer.num_nodes


def _check_strategy(card: ModelCard, strategy: Strategy) -> list[str]:
    if strategy.name == "deepspeed":
        return _check_deepspeed(card, strategy)
    if strategy.name in card.strategies:
        return []
    tested = joined(sorted(card.strategies))
    return [f"{card.name} is not tested with strategy={strategy.name}, only with {tested}. Try: strategy=auto"]


def _check_deepspeed(card: ModelCard, strategy: Strategy) -> list[str]:
    alternative = "fsdp" if "fsdp" in card.strategies else "ddp"
    if card.adversarial:
        return [
            f"strategy=deepspeed supports one optimizer, and {card.name} trains with several. "
            f"It supports {joined(sorted(card.strategies))}. Try: strategy={alternative}"
        ]
    found = []
    if find_spec("deepspeed") is None:
        found.append(
            "strategy=deepspeed needs the package DeepSpeed. Type: pip install 'video-zoo[deepspeed]'"
            f"    Or use what is installed: strategy={alternative}"
        )
    if not on_gpu(strategy):
        found.append(
            f"strategy=deepspeed needs a GPU, and none is available with accelerator={strategy.accelerator}. "
            f"ddp and fsdp work on the CPU. Try: strategy={alternative} strategy.accelerator=cpu strategy.devices=2"
        )
    return found


def _check_devices(settings: Train) -> list[str]:
    nodes, strategy = settings.trainer.num_nodes, settings.strategy
    if (strategy.accelerator == "gpu" and not gpus()) or (strategy.accelerator == "mps" and sys.platform != "darwin"):
        return [
            f"strategy.accelerator={strategy.accelerator}, but there is no such device here. "
            "Try: strategy.accelerator=auto"
        ]
    if nodes > 1 and strategy.name in ("auto", "cpu"):
        return [
            f"trainer.num_nodes={nodes} needs a strategy for several processes, and strategy={strategy.name} runs one. "
            "Try: strategy=ddp"
        ]
    count = processes(settings)
    if count is None:
        return [
            f"strategy.devices={strategy.devices} is neither a number of devices nor a list of them. "
            "Try: strategy.devices=2"
        ]
    if strategy.name == "fsdp" and count < 2:
        accelerator = "" if on_gpu(strategy) else " strategy.accelerator=cpu"
        return [
            "strategy=fsdp shards the weights over several devices, and this training has one. "
            f"Try: strategy=fsdp{accelerator} strategy.devices=2, or strategy=auto"
        ]
    if (started := launched_processes()) and count != started[0] * started[1]:
        return [
            f"The launcher started {started[0]} processes on each of {started[1]} machines, but "
            f"strategy={strategy.name} strategy.devices={strategy.devices} trainer.num_nodes={nodes} needs {count}. "
            "Try: strategy=ddp without the other two"
        ]
    if count > 1 and strategy.name in ("auto", "cpu"):
        return [
            f"strategy={strategy.name} runs one process, but strategy.devices={strategy.devices} needs {count}. "
            f"Try: strategy=ddp strategy.devices={strategy.devices}"
        ]
    return []


def _check_precision(settings: Train) -> list[str]:
    precision, strategy = settings.trainer.precision, settings.strategy
    name = PRECISIONS.get(precision, precision)
    if name not in LIGHTNING_PRECISIONS:
        known = [*PRECISIONS, *LIGHTNING_PRECISIONS]
        return [f"trainer.precision={precision} is not a choice.{suggest(precision, known)} Choices: {joined(known)}."]
    if name.startswith("16-") and not on_gpu(strategy):
        return [f"trainer.precision={precision} needs a GPU. bf16 works on the CPU. Try: trainer.precision=bf16"]
    if name == "16-mixed" and strategy.name == "fsdp":
        return [
            f"trainer.precision={precision} scales losses, which strategy=fsdp does not support. "
            "Try: trainer.precision=bf16"
        ]
    if name == "64-true" and strategy.name == "deepspeed":
        return [f"DeepSpeed does not support trainer.precision={precision}. Try: trainer.precision=32"]
    return []


def _check_compilation(settings: Train) -> list[str]:
    if not settings.trainer.compile or os.environ.get("CXX"):
        return []
    if any(shutil.which(name) for name in COMPILERS):
        return []
    return [
        f"trainer.compile=true needs a C++ compiler, and none of {joined(COMPILERS)} is on the PATH. Install one, "
        "name it in the environment variable CXX, or leave trainer.compile out."
    ]


def _check_memory_format(settings: Train) -> list[str]:
    if settings.trainer.channels_last and settings.strategy.name == "fsdp":
        return [
            "trainer.channels_last=true does not work with strategy=fsdp, which shards weights in the default memory "
            "format. Leave trainer.channels_last out, or: strategy=ddp"
        ]
    return []
