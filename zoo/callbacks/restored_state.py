"""Check the state of optimizers, schedulers, loops and callbacks in a checkpoint before a training loads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor
from torch.optim import Optimizer

from zoo.errors import ZooError
from zoo.model import VideoModel
from zoo.runs.training_state import older_checkpoint_hint

FREE_FLAGS = ("fused", "foreach", "capturable")
"""Options of an optimizer that only say how it is computed, which may depend on the device."""


class RestoredState(Callback):
    """Raises a ZooError, which offers an older checkpoint, for a state that does not fit the trainer.

    Optimizers would read and write beyond averages of another shape, and Lightning passes over missing states.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.pending: Mapping[str, Any] | None = None

    def on_load_checkpoint(self, trainer: Trainer, model: VideoModel[Any], checkpoint: dict[str, Any]) -> None:
        """Check loops now, before other callbacks read them; and the rest if the optimizers exist, as under FSDP."""
        loops = compare_structure(trainer.fit_loop.state_dict(), checkpoint["loops"].get("fit_loop"), "loops")
        self._refuse(trainer, next(loops, None))
        if trainer.strategy.restore_checkpoint_after_setup:
            self._check(trainer, checkpoint)
        else:
            self.pending = checkpoint

    def on_fit_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Check the rest before Lightning loads the states."""
        if self.pending is not None:
            self._check(trainer, self.pending)
            self.pending = None

    def _check(self, trainer: Trainer, checkpoint: Mapping[str, Any]) -> None:
        self._refuse(trainer, next(find_misfits(trainer, checkpoint), None))

    def _refuse(self, trainer: Trainer, problem: str | None) -> None:
        if problem:
            file = trainer.ckpt_path or self.run
            raise ZooError(f"{file} cannot be resumed: {problem}.\n{older_checkpoint_hint(self.run)}")


def find_misfits(trainer: Trainer, checkpoint: Mapping[str, Any]) -> Iterator[str]:
    """Describe each state in a checkpoint that does not fit the trainer's own."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if own := callback.state_dict():
            yield from compare_structure(own, checkpoint["callbacks"].get(callback.state_key), callback.state_key)
    schedulers = [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs]
    yield from compare_structure(schedulers, checkpoint["lr_schedulers"], "lr_schedulers")
    if not trainer.strategy.lightning_restore_optimizer:
        return
    states = checkpoint["optimizer_states"]
    if len(states) != len(trainer.strategy.optimizers):
        yield f"it holds the states of {len(states)} optimizers, but the model has {len(trainer.strategy.optimizers)}"
        return
    for number, (optimizer, state) in enumerate(zip(trainer.strategy.optimizers, states, strict=True)):
        yield from (f"optimizer {number}: {problem}" for problem in find_optimizer_misfits(optimizer, state))


def compare_structure(own: Any, saved: Any, where: str) -> Iterator[str]:
    """Describe each entry of nested dicts, lists and numbers that is missing, of another type, or a negative count."""
    if isinstance(own, Mapping):
        if not isinstance(saved, Mapping):
            yield f"`{where}` is no mapping"
            return
        for key, value in own.items():
            if key in saved:
                yield from compare_structure(value, saved[key], f"{where}.{key}")
            else:
                yield f"`{where}.{key}` is missing"
    elif isinstance(own, list):
        if not isinstance(saved, list) or len(saved) != len(own):
            yield f"`{where}` is not a list of {len(own)}"
            return
        for index, (value, other) in enumerate(zip(own, saved, strict=True)):
            yield from compare_structure(value, other, f"{where}.{index}")
    elif isinstance(own, bool):
        if not isinstance(saved, bool):
            yield f"`{where}` is not true or false"
    elif isinstance(own, int) and (type(saved) is not int or saved < 0):
        yield f"`{where}` is no count"
    elif isinstance(own, float) and type(saved) not in (int, float):
        yield f"`{where}` is no number"


def find_optimizer_misfits(optimizer: Optimizer, saved: Any) -> Iterator[str]:
    """Describe what in the saved state dict of an optimizer does not fit its parameters."""
    if not isinstance(saved, Mapping) or not {"state", "param_groups"} <= set(saved):
        yield "it has no `state` and `param_groups`"
        return
    own, groups = optimizer.state_dict()["param_groups"], saved["param_groups"]
    if not isinstance(groups, list) or len(groups) != len(own) or not all(isinstance(each, Mapping) for each in groups):
        yield f"`param_groups` is not a list of {len(own)} groups"
        return
    for group, other in zip(own, groups, strict=True):
        yield from _compare_options(group, other)
    if not isinstance(saved["state"], Mapping):
        yield "`state` is no mapping"
        return
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    expected = example_state(optimizer)
    for index, values in saved["state"].items():
        if type(index) is not int or not 0 <= index < len(parameters) or not isinstance(values, Mapping):
            yield f"`state` has the entry {index!r:.40}, but there are {len(parameters)} parameters"
            return
        yield from _compare_values(index, parameters[index], expected, values)


def _compare_options(own: Mapping[str, Any], saved: Mapping[str, Any]) -> Iterator[str]:
    """Compare the options of a group of parameters; newer versions of PyTorch may have more flags."""
    if saved.get("params") != own["params"]:
        yield "`params` are not the parameters of the model in their order"
    for name, value in own.items():
        if isinstance(value, bool) and name not in FREE_FLAGS:
            if saved.get(name, value) is not value:
                yield f"`{name}` is {saved[name]!r:.40}, and {value} in this training"
        elif isinstance(value, float | tuple):
            plain = [value] if isinstance(value, float) else list(value)
            found = saved.get(name)
            numbers = list(found) if isinstance(found, list | tuple) else [found]
            if len(numbers) != len(plain) or not all(type(number) in (int, float) for number in numbers):
                yield f"`{name}` is {found!r:.40}, and {value} was expected"


def example_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """The state that an optimizer of this kind has for a parameter of shape (2, 3), by name."""
    parameter = torch.zeros(2, 3, requires_grad=True)
    parameter.grad = torch.zeros(2, 3)
    example = type(optimizer)([parameter], **optimizer.defaults)
    example.step()
    return {name: value for name, value in example.state[parameter].items() if isinstance(value, Tensor)}


def _compare_values(
    index: int, parameter: Tensor, expected: Mapping[str, Tensor], saved: Mapping[str, Any]
) -> Iterator[str]:
    """Compare the state of one parameter with what an optimizer of this kind keeps: averages of its shape, counts."""
    for name, example in expected.items():
        value = saved.get(name)
        shape = parameter.shape if example.ndim else torch.Size([])
        if not isinstance(value, Tensor):
            yield f"`{name}` of parameter {index} is missing"
        elif value.shape != shape or value.layout != torch.strided:
            yield f"`{name}` of parameter {index} has the shape {tuple(value.shape)}, but {tuple(shape)} was expected"
        elif value.is_floating_point() != example.is_floating_point():
            yield f"`{name}` of parameter {index} holds {value.dtype}, but {example.dtype} was expected"
    if more := [name for name in saved if name not in expected]:
        yield f"`{more[0]!s:.40}` of parameter {index} is unknown to {type(parameter).__name__}s of this optimizer"
