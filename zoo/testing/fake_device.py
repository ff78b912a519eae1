"""A fake device, to find out on any machine where a training step would synchronise with a GPU.

A GPU works through a queue. Code that needs a result (``.item()``, an ``if`` on a tensor, a size that depends on
values) or copies memory without ``non_blocking=True`` waits until the queue is empty, and then the GPU is idle until
new work arrives. PyTorch's device ``meta`` has shapes but no values; here it takes the place of a GPU in the real
trainer, with the real callbacks.
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
LITERALS = ("tensor", "as_tensor", "new_tensor")  # functions that make a tensor of numbers on the CPU and copy it
INDEXED = ("__getitem__", "__setitem__")
COPIES = ("aten::_to_copy", "aten::copy_")
READS = ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal")
VALUE_SIZED = ("aten::nonzero", "aten::_unique", "aten::unique", "aten::bincount", "aten::masked_select")
"""Prefixes of operations whose result has a size that depends on values."""
INDEXING = (
    "aten::index.",
    "aten::index_put",
    "aten::_index_put",
)  # with a boolean mask the size of the result depends on values


class WaitError(RuntimeError):
    """The code would have waited for the device."""


class FakeDevice(TorchDispatchMode):
    """Context in which code that waits for the device gets a WaitError while ``watched`` is set, else zeros."""

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
        on_device = [x for x in given if x.device == DEVICE]
        if name in COPIES:
            return self._copy(name, call, args, kwargs)
        if on_device and (name in READS or name.startswith(VALUE_SIZED) or _has_mask(name, on_device)):
            self.waits(name)
            result = call(*_to_zeros(args), **_to_zeros(kwargs))
            return tree_map_only(Tensor, lambda x: torch.empty_like(x, device=DEVICE), result)
        if on_device and any(x.device != DEVICE and x.ndim for x in given):
            self.waits(f"{name} of a tensor on the CPU")
        return call(*args, **kwargs)

    def _copy(self, name: str, call: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        source, target = args[0], kwargs.get("device", args[0].device)
        if name == "aten::copy_":
            source, target = args[1], args[0].device
        waits = not (kwargs.get("non_blocking") or (name == "aten::copy_" and len(args) > 2 and args[2]))
        if source.device == DEVICE and torch.device(target) != DEVICE:
            self.waits(f"{name} to the CPU")
            source = _to_zeros(source)
            args = (args[0], source, *args[2:]) if name == "aten::copy_" else (source, *args[1:])
        elif source.device != DEVICE and torch.device(target) == DEVICE and waits:
            self.waits(f"{name} from the CPU without non_blocking=True")
        return call(*args, **kwargs)

    def waits(self, what: str) -> None:
        """Raise a WaitError that names the operation and the lines of code that led to it."""
        if self.watched:
            self.watched = False  # cleaning up may wait
            torch_folder = Path(torch.__file__).parent
            frames = [f for f in extract_stack() if f.filename != __file__]
            ours = [f for f in frames if not Path(f.filename).is_relative_to(torch_folder)]
            where = ", ".join(f"{Path(f.filename).name}:{f.lineno}" for f in ours[-4:])
            raise WaitError(f"{what} waits for the device: {where}")


class _Literals(TorchFunctionMode):
    """Detects tensors made of numbers, and lists as indices: the device ``meta`` does not copy them, a GPU would."""

    def __init__(self, device: FakeDevice) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result, name = call(*args, **(kwargs or {})), getattr(call, "__name__", "")
        if name in LITERALS and result.device == DEVICE:
            self.device.waits(f"torch.{name}")
        if name in INDEXED and args[0].device == DEVICE and _has_list(args[1]):
            self.device.waits(f"an index that is a list, {args[1]},")
        return result


def _has_list(index: Any) -> bool:
    return isinstance(index, list) or (isinstance(index, tuple) and any(isinstance(part, list) for part in index))


def _to_zeros(given: Any) -> Any:
    """Replace tensors by zeros on the CPU, so that an operation that needs values can run."""
    return tree_map_only(Tensor, lambda x: torch.zeros(x.shape, dtype=x.dtype), given)


def _has_mask(name: str, tensors: list[Tensor]) -> bool:
    return name.startswith(INDEXING) and any(x.dtype == torch.bool for x in tensors[1:])


class FakeAccelerator(Accelerator):
    """The accelerator interface of Lightning."""

    def setup_device(self, device: torch.device) -> None:
        """Do nothing."""

    def teardown(self) -> None:
        """Do nothing."""

    def get_device_stats(self, device: Any) -> dict[str, Any]:
        """No statistics."""
        return {}

    @staticmethod
    def parse_devices(devices: Any) -> Any:
        """Always the one fake device."""
        return [DEVICE]

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        """Always the one fake device."""
        return [DEVICE]

    @staticmethod
    def auto_device_count() -> int:
        """Always one."""
        return 1

    @staticmethod
    def is_available() -> bool:
        """Always."""
        return True

    @staticmethod
    def name() -> str:
        """Name in Lightning's registry."""
        return "fake"


class _WatchSecondStep(Callback):
    """Watches the device from the end of the first step, which allocates memory, to the end of the second."""

    def __init__(self, device: FakeDevice) -> None:
        self.device = device

    def on_train_batch_end(self, trainer: Trainer, model: LightningModule, *_: Any) -> None:
        self.device.watched = trainer.fit_loop.epoch_loop.batch_idx == 0


def train_on_fake_device(model: LightningModule, clips: Any, callbacks: list[Callback], folder: Path) -> None:
    """Train two steps. Raises WaitError if the second waits for the device."""
    device = FakeDevice(watched=False)
    trainer = Trainer(
        default_root_dir=folder,
        strategy=SingleDeviceStrategy(DEVICE, accelerator=FakeAccelerator()),
        max_epochs=1,
        limit_train_batches=2,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[*callbacks, _WatchSecondStep(device)],
        use_distributed_sampler=False,
    )
    with device:
        trainer.fit(model, clips)
