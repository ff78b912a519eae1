"""Lightning's strategies, adapted to the zoo's models.

``ddp``: every rank holds all weights; gradients are averaged before a step of an optimizer. ``fsdp``: weights, their
moving averages and optimizer states are sharded over the ranks (FSDP2). ``deepspeed``: ZeRO stage 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, ModelParallelStrategy, Strategy
from torch.optim import Optimizer

from zoo.card import ModelCard
from zoo.devices.collectives import average_buffers, average_gradients, broadcast_state
from zoo.devices.sharded_checkpoint import read_sharded, shard_optimizer_state, shard_state, write_sharded
from zoo.devices.synced_norm import sync_batch_norm
from zoo.io.contents import with_contents
from zoo.io.safe_load import read_tensors

if TYPE_CHECKING:
    from lightning import Trainer


def build_strategy(name: str, card: ModelCard, sync_batchnorm: bool = False) -> Strategy | str:
    """Build the strategy for an option of conf/strategy and a model.

    sync_batchnorm: compute batch-norm statistics over the batch of all ranks, not of each one.
    """
    if name == "ddp":
        return MultiOptimizerDDP(sync_batchnorm) if card.adversarial else SingleOptimizerDDP(sync_batchnorm)
    if name == "fsdp":
        return FSDP2Strategy(sync_batchnorm)
    if name == "deepspeed":
        return ZeROStrategy(sync_batchnorm)
    return "auto"


class _BufferSyncStrategy(Strategy):
    """Keeps buffers equal on all ranks, and optionally synchronises batch norm."""

    sync_batchnorm = False

    def setup(self, trainer: Trainer) -> None:
        """Replace the batch-norm layers of the model before Lightning wraps it."""
        if self.sync_batchnorm:
            assert self.model is not None
            sync_batch_norm(self.model)
        super().setup(trainer)

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """Run a step, then replace the buffers by their mean over ranks."""
        result = super().training_step(*args, **kwargs)
        assert self.lightning_module is not None
        average_buffers(self.lightning_module)
        return result

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        """Skip a rank that has no clips."""
        return None if args[0] is None else super().validation_step(*args, **kwargs)


class SingleOptimizerDDP(_BufferSyncStrategy, DDPStrategy):
    """For models with one optimizer: PyTorch's DistributedDataParallel averages gradients during the backward pass."""

    def __init__(self, sync_batchnorm: bool = False) -> None:
        super().__init__(broadcast_buffers=False)
        self.sync_batchnorm = sync_batchnorm


class MultiOptimizerDDP(_BufferSyncStrategy, DDPStrategy):
    """For models with several optimizers, where a backward pass reaches the parameters of one of them only.

    Nothing is averaged during backward passes. Before its step an optimizer averages the gradients of its own
    parameters. So no step waits for gradients that it does not use, several backward passes may precede a step, and
    with ``precision=16`` all ranks skip the same steps, since one infinite gradient makes the mean infinite everywhere.
    """

    def __init__(self, sync_batchnorm: bool = False) -> None:
        super().__init__()
        self.sync_batchnorm = sync_batchnorm

    def configure_ddp(self) -> None:
        """Use no wrapper; copy the weights of rank 0 to all ranks."""
        assert self.model is not None
        broadcast_state(self.model)

    def optimizer_step(self, optimizer: Optimizer, closure: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:
        """Average the gradients, then step."""
        return super().optimizer_step(optimizer, _with_averaged_gradients(optimizer, closure), *args, **kwargs)


class FSDP2Strategy(_BufferSyncStrategy, ModelParallelStrategy):
    """FSDP2: every network of a model is sharded over all ranks on its own (``VideoModel.configure_model``).

    A checkpoint is a folder, see ``zoo.devices.sharded_checkpoint``, from which every rank reads its shards.
    """

    def __init__(self, sync_batchnorm: bool = False) -> None:
        super().__init__(data_parallel_size=0, tensor_parallel_size=1)
        self.sync_batchnorm = sync_batchnorm

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Let the trainer pass the states of optimizers to ``load_optimizer_state_dict``."""
        return True

    def setup_environment(self) -> None:
        """Make one data-parallel group of all ranks."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def setup(self, trainer: Trainer) -> None:
        """Copy buffers, and parameters that are not sharded, from rank 0 to all ranks."""
        super().setup(trainer)
        assert self.model is not None
        broadcast_state(self.model)

    def optimizer_step(self, optimizer: Optimizer, closure: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:
        """Average the gradients of parameters that are not sharded, then step."""
        return super().optimizer_step(optimizer, _with_averaged_gradients(optimizer, closure), *args, **kwargs)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Return the shards of this rank."""
        assert self.lightning_module is not None
        return self.lightning_module.state_dict()

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return the shards of this rank; parameters are numbered as by an optimizer in a single process."""
        return optimizer.state_dict()

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any = None) -> None:
        """Write a sharded checkpoint."""
        write_sharded(with_contents(checkpoint), Path(self.broadcast(str(filepath))), self.global_rank, self.world_size)

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a sharded checkpoint, or the file of a training that was not sharded.

        Nothing is unpickled, so ``weights_only`` is ignored.
        """
        path = Path(self.broadcast(str(checkpoint_path)))
        return read_sharded(path) if path.is_dir() else read_tensors(path, "a checkpoint")

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Load the shards of this rank."""
        assert self.lightning_module is not None
        shard_state(self.lightning_module, checkpoint["state_dict"])

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Load the shards of this rank."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict(shard_optimizer_state(optimizer, state))


def _with_averaged_gradients(optimizer: Optimizer, closure: Callable[[], Any]) -> Callable[[], Any]:
    """Extend the closure of a step: average the gradients of this optimizer at its end."""

    def average_after_closure() -> Any:
        result = closure()
        average_gradients(p for group in optimizer.param_groups for p in group["params"])
        return result

    return average_after_closure


class ZeROStrategy(_BufferSyncStrategy, DeepSpeedStrategy):
    """DeepSpeed's ZeRO stage 2. A checkpoint holds DeepSpeed's files, and the weights as ``zoo.load`` reads them.

    Not tested: it needs a GPU with DeepSpeed.
    """

    def __init__(self, sync_batchnorm: bool = False) -> None:
        super().__init__(stage=2)
        self.sync_batchnorm = sync_batchnorm

    def setup(self, trainer: Trainer) -> None:
        """Pass the model's gradient limit to DeepSpeed, which clips gradients itself."""
        limit = getattr(self.lightning_module, "max_gradient", None)
        if limit is not None and isinstance(self.config, dict):
            self.config["gradient_clipping"] = limit
        super().setup(trainer)

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any = None) -> None:
        """Write DeepSpeed's folder, then into it what ``zoo.load`` needs."""
        assert self.lightning_module is not None
        for_loading = checkpoint | {"state_dict": self.lightning_module.state_dict(), "optimizer_states": []}
        super().save_checkpoint(checkpoint, filepath, storage_options)
        if self.is_global_zero:
            write_sharded(with_contents(for_loading), Path(filepath), 0, 1)
        self.barrier()
