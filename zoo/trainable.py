"""What every model needs in training: a clock, optimizer steps, noise that depends on no other noise, logged losses.

Shapes: B clips, T frames, C channels, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, cast
from zlib import crc32

import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from zoo.devices.collectives import mean_over_ranks
from zoo.randomness import generator, mix
from zoo.types import Clip, ClipSpec

FUSED_ADAM_DEVICES = ("cpu", "cuda", "mps")
"""Device types for which PyTorch has a fused Adam."""


class TrainableModule(LightningModule):
    """A Lightning module whose training is a function of the seed and of the clips seen, so that it can be resumed."""

    optimizer_names: ClassVar[tuple[str, ...]] = ()
    """Names of the optimizers, in the order of ``configure_optimizers``, for `step`."""

    spec: ClipSpec

    def __init__(self) -> None:
        super().__init__()
        self.seed = 0
        self.clips_seen = 0
        self.step_clips = 0  # clips of the current batch, over all ranks; included in clips_seen
        self.losses: dict[str, Tensor] = {}  # name -> its last logged value

    # ---------------------------------------------------------------- methods to override

    def after_step(self, name: str) -> None:
        """Work after each step of the optimizer ``name``, such as clipping singular values; `every` makes it rarer."""

    @property
    def max_gradient(self) -> float | None:
        """Largest gradient norm, for gradient clipping of a model with one optimizer; None: no clipping."""
        return None

    # ---------------------------------------------------------------- clock

    def on_train_batch_start(self, batch: Clip, batch_idx: int) -> None:
        """Count clips over all ranks; seed PyTorch, so that no step depends on the random numbers of earlier ones."""
        torch.manual_seed(mix(self.seed, self.clips_seen, self.global_rank))
        self.step_clips = len(batch["video"]) * self.trainer.world_size
        self.clips_seen += self.step_clips

    @property
    def progress(self) -> float:
        """Completed share of the training budget: 0 in the first step, just under 1 in the last."""
        completed = self.trainer.fit_loop.epoch_loop.batch_progress.current.completed
        return completed / float(self.trainer.num_training_batches)

    @property
    def step_number(self) -> int:
        """Number of the current training step, from 1: a function of the clips seen, so resumed trainings agree."""
        return self.clips_seen // self.step_clips

    def every(self, steps: int) -> bool:
        """Whether the current training step is the ``steps``-th, the 2·``steps``-th, …"""
        return self.step_number % steps == 0

    # ---------------------------------------------------------------- optimizers

    def adam(
        self,
        parameters: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
    ) -> torch.optim.Optimizer:
        """Build Adam, fused if possible: Lightning cannot clip scaled gradients (fp16) of a fused optimizer.

        weight_decay: times the weights is added to their gradients (L2, not AdamW).
        """
        clips_scaled = self.max_gradient is not None and self.trainer.precision == "16-mixed"
        fused = self.device.type in FUSED_ADAM_DEVICES and not clips_scaled
        optimizer = torch.optim.Adam(parameters, lr, betas, weight_decay=weight_decay, fused=fused)
        optimizer.register_load_state_dict_post_hook(_match_memory_format)
        return optimizer

    def with_cosine_schedule(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Return value of ``configure_optimizers``: the learning rate falls to zero along half a cosine."""

        def factor(step: int) -> float:
            return 0.5 + 0.5 * math.cos(math.pi * step / max(self.trainer.num_training_batches, 1))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def step(self, name: str, losses: Mapping[str, Tensor]) -> None:
        """Step the optimizer ``name`` on the sum of its losses, with manual optimization.

        Losses that are computed afterwards see the new weights, as in alternating training. Only the parameters of this
        optimizer get gradients. Then `after_step` is called. `optimizer_steps` steps all optimizers at once instead.
        """
        optimizers = dict(zip(self.optimizer_names, self._optimizers(), strict=True))
        self._descend(optimizers[name], losses, retain_graph=False)
        self.after_step(name)

    def optimizer_steps(self, *losses: Mapping[str, Tensor]) -> None:
        """Step every optimizer on the sum of its losses, with manual optimization. losses: one mapping per optimizer.

        All losses are computed with the weights before the first step and may share a graph. The parameters of an
        optimizer get only the gradients of its own losses.
        """
        for number, (optimizer, parts) in enumerate(zip(self._optimizers(), losses, strict=True), 1):
            self._descend(optimizer, parts, retain_graph=number < len(losses))
        for name in self.optimizer_names:
            self.after_step(name)

    def _optimizers(self) -> list[LightningOptimizer]:
        optimizers = self.optimizers()
        return cast("list[LightningOptimizer]", optimizers if isinstance(optimizers, list) else [optimizers])

    def _descend(self, optimizer: LightningOptimizer, losses: Mapping[str, Tensor], retain_graph: bool) -> None:
        own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        # FSDP accumulates gradients in tensors other than these parameters, so there all parameters get
        # gradients; zero_grad discards those of the other losses.
        inputs = None if any(isinstance(parameter, DTensor) for parameter in own) else own
        optimizer.zero_grad()
        total = torch.stack(list(losses.values())).sum()
        self.manual_backward(total, inputs=inputs, retain_graph=retain_graph)
        optimizer.step()

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: Any, **__: Any) -> None:
        """Clip the norm of the gradients to ``max_gradient``."""
        if self.max_gradient is None:
            return
        if self.trainer.precision == "bf16-mixed" and isinstance(self.trainer.precision_plugin, MixedPrecision):
            # Lightning refuses to clip with a fused Adam, assuming scaled gradients; with bfloat16 they are not scaled.
            nn.utils.clip_grad_norm_(self.parameters(), self.max_gradient)
        else:
            self.clip_gradients(optimizer, self.max_gradient, "norm")

    # ---------------------------------------------------------------- noise

    def sample_indices(self, clip: Clip, count: int | None = None) -> list[int]:
        """Index in the training, from 0, of each clip of this rank's batch; independent of the number of ranks.

        count: of ``count`` samples per rank and step, where it is not the number of clips.
        """
        ranks = self.trainer.world_size
        earlier = self.clips_seen - self.step_clips if count is None else (self.step_number - 1) * count * ranks
        count = len(clip["video"]) if count is None else count
        return [earlier + self.global_rank + index * ranks for index in range(count)]

    def per_sample_noise(
        self, clip: Clip, draw: Callable[[torch.Generator], Tensor], stream: str = "", count: int | None = None
    ) -> Tensor:
        """Stack ``draw(generator)`` for each clip of the batch: (B, ...), on the device of the video.

        Floating-point numbers get the dtype of the video; integers stay integers. stream: name of the use; noises of
        one step under different names are independent. count: number of samples if it is not that of the clips.

        The numbers depend only on the seed, the stream and the clip's index in the training, not on the number of
        ranks. They are drawn on the CPU and copied to the device without synchronising.
        """
        video = clip["video"]
        seeds = (self.seed, crc32(stream.encode())) if stream else (self.seed,)
        noise = torch.stack([draw(generator(*seeds, index)) for index in self.sample_indices(clip, count)])
        if noise.is_floating_point():
            noise = noise.to(video.dtype)
        if video.is_cuda:
            noise = noise.pin_memory()  # copies of more than 64 KiB from pageable memory wait for the device
        return noise.to(video.device, non_blocking=True)

    def random_frames(self, clip: Clip, stream: str = "frames", count: int | None = None) -> Tensor:
        """Real images, (count, C, H, W): image i is a random frame of clip i modulo B. count: None is B."""
        video = clip["video"]
        numbers = self.per_sample_noise(
            clip, lambda source: torch.randint(video.shape[1], (), generator=source), stream, count
        )
        clips = torch.arange(len(numbers), device=video.device) % len(video)
        return video[clips, numbers]

    def random_attributes(self, clip: Clip, stream: str = "attributes", count: int | None = None) -> dict[str, Tensor]:
        """Uniformly random values for generated clips: attribute -> ids (count,) int64. count: None is B."""
        return {
            name: self.per_sample_noise(clip, partial(_random_integer, len(values)), f"{stream}.{name}", count)
            for name, values in self.spec.attributes.items()
        }

    # ---------------------------------------------------------------- losses and checkpoints

    def log_losses(self, losses: Mapping[str, Tensor]) -> None:
        """Log the mean over ranks of each part of the loss as ``train/loss/<part>``, and keep it in ``self.losses``.

        A part that is not computed in every step keeps its last value in the steps between, also in a resumed training.
        """
        means = mean_over_ranks(torch.stack([value.detach() for value in losses.values()]))
        self.losses |= dict(zip(losses, means.unbind(), strict=True))
        self.log_dict({f"train/loss/{part}": value for part, value in self.losses.items()})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the number of clips seen and the last losses."""
        checkpoint["clips_seen"], checkpoint["losses"] = self.clips_seen, dict(self.losses)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what `on_save_checkpoint` saved."""
        self.clips_seen, self.losses = checkpoint["clips_seen"], checkpoint.get("losses", {})


def _match_memory_format(optimizer: torch.optim.Optimizer) -> None:
    """Give the loaded averages of an optimizer the memory layout of their parameters.

    A fused step on the CPU goes through both in memory order and would mix up elements of different layouts.
    """
    for parameter, state in optimizer.state.items():
        for name, average in state.items():
            if average.shape == parameter.shape and average.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter).copy_(average)


def _random_integer(below: int, source: torch.Generator) -> Tensor:
    return torch.randint(below, (), generator=source)
