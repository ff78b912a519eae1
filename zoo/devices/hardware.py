"""Do strategy, precision and compilation fit the model and this machine? Each mismatch in a sentence, without torch."""

from __future__ import annotations

import os
import re
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.card import ModelCard
from zoo.devices.launch import launched
from zoo.errors import ZooError, listed, nearest, one_of
from zoo.settings import Strategy, Train

if TYPE_CHECKING:
    import torch

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed", "64": "64-true"}
"""What users type to what Lightning calls it; its own names are taken, too."""
OF_LIGHTNING = ("32-true", "64-true", "bf16-mixed", "bf16-true", "16-mixed", "16-true")
COMPILERS = ("c++", "g++", "clang++")


def machine_problems(card: ModelCard, settings: Train) -> list[str]:
    """Sentences about what this machine or this model cannot do."""
    return [
        *_strategy(card, settings.strategy),
        *_devices(settings),
        *_precision(settings),
        *_compile(settings),
        *_layout(settings),
    ]


def gpus() -> int:
    """How many GPUs PyTorch would find here, as far as can be told without it; at least one where they hide."""
    try:
        if version("torch").endswith("+cpu"):
            return 0
    except PackageNotFoundError:
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([number for number in visible.split(",") if number.strip() not in ("", "-1")])
    numbered = [path for path in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    hidden = Path("/dev/dxg").exists() or Path("/dev/kfd").exists()  # of Windows, and of AMD
    return len(numbered) or int(hidden)


def find_device(accelerator: str) -> torch.device:
    """Where one process samples or measures: ``auto`` is a GPU where there is one, else the processor."""
    import torch

    one_of("accelerator", accelerator, ("auto", "cpu", "gpu", "mps"))
    if accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator == "mps" and torch.backends.mps.is_available():
        return torch.device("mps")
    if accelerator in ("auto", "cpu"):
        return torch.device("cpu")
    raise ZooError(f"accelerator={accelerator}: PyTorch finds none here. Try: accelerator=cpu")


def on_gpu(strategy: Strategy) -> bool:
    """Whether a training would run on GPUs."""
    return strategy.accelerator not in ("cpu", "mps") and gpus() > 0


def processes(settings: Train) -> int | None:
    """How many processes a training would have; None where ``strategy.devices`` is nothing that can be counted."""
    strategy, devices = settings.strategy, settings.strategy.devices.strip("[] ")
    if devices in ("auto", "-1"):
        each = max(gpus(), 1) if on_gpu(strategy) else 1
    elif "," in devices:
        each = len([number for number in devices.split(",") if number.strip()])
    elif devices.isdigit() and int(devices):
        each = int(devices)
    else:
        return None
    return each * settings.trainer.num_nodes


def _strategy(card: ModelCard, strategy: Strategy) -> list[str]:
    name, tested = strategy.name, listed(sorted(card.strategies))
    if name == "deepspeed":
        return _deepspeed(card, strategy)
    if name in card.strategies:
        return []
    return [f"{card.name} is not tested with strategy={name}; it is with {tested}. Try: strategy=auto"]


def _deepspeed(card: ModelCard, strategy: Strategy) -> list[str]:
    shards = "fsdp" if "fsdp" in card.strategies else "ddp"
    if card.adversarial:
        return [
            f"{card.name} is trained by several optimizers in turn, and DeepSpeed takes one. "
            f"What works: {listed(sorted(card.strategies))}. Try: strategy={shards}"
        ]
    found = []
    if find_spec("deepspeed") is None:
        found.append(
            "strategy=deepspeed needs the package DeepSpeed. Type: pip install 'video-zoo[deepspeed]'"
            f"    Or, with what is here: strategy={shards}"
        )
    if not on_gpu(strategy):
        found.append(
            f"strategy=deepspeed needs a GPU, and there is none here that accelerator={strategy.accelerator} would "
            f"take. On the processor ddp and fsdp work. Try: strategy={shards} strategy.accelerator=cpu "
            "strategy.devices=2"
        )
    return found


def _devices(settings: Train) -> list[str]:
    nodes, strategy = settings.trainer.num_nodes, settings.strategy
    if nodes < 1:
        return [f"trainer.num_nodes={nodes}: one machine at least. Try: trainer.num_nodes=1"]
    if nodes > 1 and strategy.name in ("auto", "cpu"):
        return [
            f"trainer.num_nodes={nodes} takes a strategy of several processes; strategy={strategy.name} is of one. "
            "Try: strategy=ddp"
        ]
    count = processes(settings)
    if count is None:
        return [
            f"strategy.devices={strategy.devices} is no number of devices, nor a list of them. Try: strategy.devices=2"
        ]
    if strategy.name == "fsdp" and count < 2:
        here = "" if on_gpu(strategy) else " strategy.accelerator=cpu"
        return [
            "strategy=fsdp shards the weights over several devices, and this training has one. "
            f"Try: strategy=fsdp{here} strategy.devices=2, or strategy=auto"
        ]
    if (started := launched()) and count != started[0] * started[1]:
        return [
            f"{started[0]} processes were started on each of {started[1]} machines, and strategy={strategy.name} "
            f"strategy.devices={strategy.devices} trainer.num_nodes={nodes} asks for {count}. Try: strategy=ddp alone"
        ]
    if count > 1 and strategy.name in ("auto", "cpu"):
        return [
            f"strategy={strategy.name} is of one process, and strategy.devices={strategy.devices} asks for {count}. "
            f"Try: strategy=ddp strategy.devices={strategy.devices}"
        ]
    return []


def _precision(settings: Train) -> list[str]:
    asked, strategy = settings.trainer.precision, settings.strategy
    name = PRECISIONS.get(asked, asked)
    if name not in OF_LIGHTNING:
        known = [*PRECISIONS, *OF_LIGHTNING]
        return [f"trainer.precision={asked} is not a choice.{nearest(asked, known)} Choices: {listed(known)}."]
    if name.startswith("16-") and not on_gpu(strategy):
        return [f"trainer.precision={asked} needs a GPU. On the processor bf16 works. Try: trainer.precision=bf16"]
    if name == "16-mixed" and strategy.name == "fsdp":
        return [
            f"trainer.precision={asked} scales its losses, which sharded gradients cannot follow. "
            "Try: trainer.precision=bf16"
        ]
    if name == "64-true" and strategy.name == "deepspeed":
        return [f"DeepSpeed knows no trainer.precision={asked}. Try: trainer.precision=32"]
    return []


def _compile(settings: Train) -> list[str]:
    if not settings.trainer.compile or os.environ.get("CXX"):
        return []
    if any(shutil.which(name) for name in COMPILERS):
        return []
    return [
        f"trainer.compile=true needs a C++ compiler ({listed(COMPILERS)}), and there is none on the path. Install one, "
        "name it in CXX, or leave trainer.compile out."
    ]


def _layout(settings: Train) -> list[str]:
    if settings.trainer.channels_last and settings.strategy.name == "fsdp":
        return [
            "strategy=fsdp shards weights as they lie by default. Leave trainer.channels_last out, or: strategy=ddp"
        ]
    return []
