"""How the ranks of a training share the work: Lightning's strategies, made for the zoo's models.

``ddp``: every rank holds all weights; the gradients of an optimizer are averaged before its step. ``fsdp``: weights,
their averages and the states of optimizers are sharded over the ranks (FSDP2). ``deepspeed``: ZeRO stage 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, ModelParallelStrategy, Strategy
from torch.optim import Optimizer

from zoo.card import ModelCard
from zoo.devices.collectives import average_buffers, average_gradients, broadcast_state
from zoo.devices.sharded_checkpoint import read_checkpoint, shard_optimizer_state, shard_state, write_sharded
from zoo.devices.synced_norm import sync_batch_norm

if TYPE_CHECKING:
    from lightning import Trainer


def build_strategy(name: str, card: ModelCard, sync_batchnorm: bool = False) -> Strategy | str:
    """The strategy of an option of conf/strategy for a model.

    sync_batchnorm: whether a batch norm in training sees the whole batch, and not the part of its rank.
    """
    if name == "ddp":
        return Alternating(sync_batchnorm) if card.adversarial else Replicated(sync_batchnorm)
    if name == "fsdp":
        return Sharded(sync_batchnorm)
    if name == "deepspeed":
        return ZeRO(sync_batchnorm)
    return "auto"


class _Shared(Strategy):
    """What all ranks do alike: buffers stay the same, and a batch norm may see the whole batch."""

    sync_batchnorm = False

    def setup(self, trainer: Trainer) -> None:
        """Before the trainer's own: the layers of the model."""
        if self.sync_batchnorm:
            assert self.model is not None
            sync_batch_norm(self.model)
        super().setup(trainer)

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """One step, after which every rank has the mean of the buffers."""
        result = super().training_step(*args, **kwargs)
        assert self.lightning_module is not None
        average_buffers(self.lightning_module)
        return result

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        """None on a rank that has no clips."""
        return None if args[0] is None else super().validation_step(*args, **kwargs)


class Replicated(_Shared, DDPStrategy):
    """Models of one optimizer: PyTorch's DistributedDataParallel, which averages gradients while others are made."""

    def __init__(self, sync_batchnorm: bool = False) -> None:
        super().__init__(broadcast_buffers=False)
        self.sync_batchnorm = sync_batchnorm


class Alternating(_Shared, DDPStrategy):
    """Models of several optimizers, each of which leaves the parameters of the others without a gradient.

    Nothing is averaged while gradients are made: an optimizer that is about to step averages those of its own
    parameters. So no step waits for gradients that it does not use, several backward passes may precede a step, and
    under ``precision=16`` all ranks skip the same steps, since one infinity makes the mean infinite everywhere.
    """

    def __init__(self, sync_batchnorm: bool = False) -> None:
        super().__init__()
        self.sync_batchnorm = sync_batchnorm

    def configure_ddp(self) -> None:
        """No wrapper; all ranks begin with the weights of the first."""
        assert self.model is not None
        broadcast_state(self.model)

    def optimizer_step(self, optimizer: Optimizer, closure: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:
        """Average, then step."""
        return super().optimizer_step(optimizer, _averaging(optimizer, closure), *args, **kwargs)


class Sharded(_Shared, ModelParallelStrategy):
    """FSDP2: each of a model's networks is sharded by itself (``VideoModel.configure_model``), over all ranks.

    A checkpoint is a folder, see ``zoo.devices.sharded_checkpoint``, from which every rank takes its shards.
    """

    def __init__(self, sync_batchnorm: bool = False) -> None:
        super().__init__(data_parallel_size=0, tensor_parallel_size=1)
        self.sync_batchnorm = sync_batchnorm

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Whether the trainer hands the states of optimizers to ``load_optimizer_state_dict``."""
        return True

    def setup_environment(self) -> None:
        """One group of all ranks."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def setup(self, trainer: Trainer) -> None:
        """All ranks begin with what the first one has of parameters that are not sharded, and of buffers."""
        super().setup(trainer)
        assert self.model is not None
        broadcast_state(self.model)

    def optimizer_step(self, optimizer: Optimizer, closure: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:
        """Average the gradients of what is not sharded, then step."""
        return super().optimizer_step(optimizer, _averaging(optimizer, closure), *args, **kwargs)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Of each rank, its shards."""
        assert self.lightning_module is not None
        return self.lightning_module.state_dict()

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Of each rank, its shards; numbered as an optimizer of one process numbers its parameters."""
        return optimizer.state_dict()

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any = None) -> None:
        """Write the folder."""
        write_sharded(checkpoint, Path(self.broadcast(str(filepath))), self.global_rank, self.world_size)

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        """Read it, or the file of a training that was not sharded: nothing is unpickled, whatever ``weights_only``."""
        return read_checkpoint(Path(self.broadcast(str(checkpoint_path))))

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Each rank takes its shards."""
        assert self.lightning_module is not None
        shard_state(self.lightning_module, checkpoint["state_dict"])

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Each rank takes its shards."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict(shard_optimizer_state(optimizer, state))


def _averaging(optimizer: Optimizer, closure: Callable[[], Any]) -> Callable[[], Any]:
    """The closure of a step, with the gradients of this optimizer averaged at its end."""

    def averaged() -> Any:
        result = closure()
        average_gradients(p for group in optimizer.param_groups for p in group["params"])
        return result

    return averaged


class ZeRO(_Shared, DeepSpeedStrategy):
    """DeepSpeed's stage 2; beside its own files a checkpoint holds the weights as ``zoo.load`` reads them.

    Not tested: it needs a GPU, and there was none.
    """

    def __init__(self, sync_batchnorm: bool = False) -> None:
        super().__init__(stage=2)
        self.sync_batchnorm = sync_batchnorm

    def setup(self, trainer: Trainer) -> None:
        """DeepSpeed clips gradients itself, and is told where."""
        limit = getattr(self.lightning_module, "max_gradient", None)
        if limit is not None and isinstance(self.config, dict):
            self.config["gradient_clipping"] = limit
        super().setup(trainer)

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any = None) -> None:
        """DeepSpeed's folder, and in it what sampling needs."""
        assert self.lightning_module is not None
        ours = checkpoint | {"state_dict": self.lightning_module.state_dict(), "optimizer_states": []}
        super().save_checkpoint(checkpoint, filepath, storage_options)
        if self.is_global_zero:
            write_sharded(ours, Path(filepath), 0, 1)
        self.barrier()
