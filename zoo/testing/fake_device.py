"""A device that computes nothing, to find out on any machine where a training step would wait for a GPU.

A GPU works behind the program that asks it to. Whoever asks for a result, a ``.item()``, an ``if`` of a tensor, a size
that depends on values, or has memory copied without ``non_blocking=True``, waits until all that was asked before is
done, and then the GPU waits for the next question. PyTorch's device ``meta`` has shapes and no values; here it takes
the place of a GPU, in the real trainer, with the real callbacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from traceback import extract_stack
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("meta")
LITERALS = ("tensor", "as_tensor", "new_tensor")  # make a tensor of numbers: on the processor, and then it is copied
INDEXED = ("__getitem__", "__setitem__")
COPIES = ("aten::_to_copy", "aten::copy_")
READS = ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal")
SIZES = ("aten::nonzero", "aten::_unique", "aten::unique", "aten::bincount", "aten::masked_select")
"""Beginnings of the names of operations whose result has a size that only the device knows."""
INDEXING = ("aten::index.", "aten::index_put", "aten::_index_put")  # by a mask of bool they look for what is not zero


class WaitError(RuntimeError):
    """Somebody would have waited for the device."""


class FakeDevice(TorchDispatchMode):
    """A context in which whoever waits for the device gets a WaitError while it is ``watched``, and else zeros."""

    def __init__(self, watched: bool = True) -> None:
        super().__init__()
        self.watched = watched
        self.literals = _Literals(self)

    def __enter__(self) -> Any:
        self.literals.__enter__()
        return super().__enter__()

    def __exit__(self, *problem: Any) -> None:
        super().__exit__(*problem)
        self.literals.__exit__(*problem)

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = call.name()
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = [x for x in given if x.device == DEVICE]
        if name in COPIES:
            return self._copied(name, call, args, kwargs)
        if there and (name in READS or name.startswith(SIZES) or _by_mask(name, there)):
            self.waits(name)
            return tree_map_only(Tensor, _there, call(*_as_zeros(args), **_as_zeros(kwargs)))
        if there and any(x.device != DEVICE and x.ndim for x in given):
            self.waits(f"{name} of a tensor that is not there")
        return call(*args, **kwargs)

    def _copied(self, name: str, call: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        source, target = args[0], kwargs.get("device", args[0].device)
        if name == "aten::copy_":
            source, target = args[1], args[0].device
        waits = not (kwargs.get("non_blocking") or (name == "aten::copy_" and len(args) > 2 and args[2]))
        if source.device == DEVICE and torch.device(target) != DEVICE:
            self.waits(f"{name} to the processor")
            source = _as_zeros(source)
            args = (args[0], source, *args[2:]) if name == "aten::copy_" else (source, *args[1:])
        elif source.device != DEVICE and torch.device(target) == DEVICE and waits:
            self.waits(f"{name} from the processor, without non_blocking=True")
        return call(*args, **kwargs)

    def waits(self, what: str) -> None:
        """Raise a WaitError that says what waits, and on which line of whose code."""
        if self.watched:
            self.watched = False  # whoever tidies up may wait
            torch_itself = Path(torch.__file__).parent
            lines = [f for f in extract_stack() if f.filename != __file__]
            ours = [f for f in lines if not Path(f.filename).is_relative_to(torch_itself)]
            where = ", ".join(f"{Path(f.filename).name}:{f.lineno}" for f in ours[-4:])
            raise WaitError(f"{what} waits for the device: {where}")


class _Literals(TorchFunctionMode):
    """Sees tensors made of numbers, which the device ``meta`` makes without a copy."""

    def __init__(self, device: FakeDevice) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made, name = call(*args, **(kwargs or {})), getattr(call, "__name__", "")
        if name in LITERALS and made.device == DEVICE:
            self.device.waits(f"torch.{name}")
        if name in INDEXED and args[0].device == DEVICE and _has_list(args[1]):
            self.device.waits(f"an index that is a list, {args[1]},")
        return made


def _has_list(index: Any) -> bool:
    return isinstance(index, list) or (isinstance(index, tuple) and any(isinstance(part, list) for part in index))


def _as_zeros(given: Any) -> Any:
    """What nobody watches is computed on the processor, of zeros."""
    return tree_map_only(Tensor, lambda x: torch.zeros(x.shape, dtype=x.dtype), given)


def _there(made: Tensor) -> Tensor:
    return torch.empty_like(made, device=DEVICE)


def _by_mask(name: str, tensors: list[Tensor]) -> bool:
    return name.startswith(INDEXING) and any(x.dtype == torch.bool for x in tensors[1:])


class FakeAccelerator(Accelerator):
    """What Lightning asks of a device."""

    def setup_device(self, device: torch.device) -> None:
        """Nothing to set up."""

    def teardown(self) -> None:
        """Nothing to tidy up."""

    def get_device_stats(self, device: Any) -> dict[str, Any]:
        """No figures."""
        return {}

    @staticmethod
    def parse_devices(devices: Any) -> Any:
        """There is one."""
        return [DEVICE]

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        """There is one."""
        return [DEVICE]

    @staticmethod
    def auto_device_count() -> int:
        """There is one."""
        return 1

    @staticmethod
    def is_available() -> bool:
        """Everywhere."""
        return True

    @staticmethod
    def name() -> str:
        """As Lightning calls it."""
        return "fake"


class _SecondStep(Callback):
    """Watches from the end of the first step, in which memory is set up, to that of the second."""

    def __init__(self, device: FakeDevice) -> None:
        self.device = device

    def on_train_batch_end(self, trainer: Trainer, model: LightningModule, *_: Any) -> None:
        self.device.watched = trainer.fit_loop.epoch_loop.batch_idx == 0


def train_on_fake_device(model: LightningModule, clips: Any, callbacks: list[Callback], folder: Path) -> None:
    """Train two steps, of which the second must not wait for the device; a WaitError if it does."""
    device = FakeDevice(watched=False)
    trainer = Trainer(
        default_root_dir=folder,
        strategy=SingleDeviceStrategy(DEVICE, accelerator=FakeAccelerator()),
        max_epochs=1,
        limit_train_batches=2,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[*callbacks, _SecondStep(device)],
        use_distributed_sampler=False,
    )
    with device:
        trainer.fit(model, clips)
