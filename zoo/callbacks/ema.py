"""Exponential moving averages of the weights that sampling uses; validation and sampling work with the averages."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from zoo.devices.sharded_checkpoint import shard_like
from zoo.model import VideoModel

RAMP = 0.1  # the half-life is at most a tenth of the clips seen, so that the average forgets the first steps


class MovingAverage(Callback):
    """Updates ``average ← b·average + (1-b)·weights`` for each of ``model.ema_parts()`` after every step.

    half_life: training clips after which old weights count half: b = 0.5^(clips of the step / half-life), whatever the
    batch size. Averages of sharded weights are sharded in the same way.
    """

    def __init__(self, half_life: float) -> None:
        self.half_life = half_life
        self.averages: dict[str, dict[str, Tensor]] = {}

    @torch.no_grad()
    def on_train_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Start from the weights, or from the averages of a checkpoint, on the model's device and in its dtype."""
        for name, part in model.ema_parts().items():
            weights = part.state_dict()
            kept = self.averages.get(name, weights)
            self.averages[name] = {key: shard_like(weight, kept[key]).clone() for key, weight in weights.items()}

    def decay(self, step_clips: int, clips_seen: int) -> float:
        """Return b of one step."""
        return float(0.5 ** (step_clips / max(min(self.half_life, RAMP * clips_seen), 1e-8)))

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update every average; buffers are copied."""
        decay = self.decay(len(batch["video"]) * trainer.world_size, model.clips_seen)
        for name, part in model.ema_parts().items():
            trained = {key for key, _ in part.named_parameters()}
            for key, weight in part.state_dict().items():
                if key in trained:
                    self.averages[name][key].lerp_(weight, 1 - decay)
                else:
                    self.averages[name][key].copy_(weight)

    def on_validation_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Swap the averages in."""
        self._swap(model)

    def on_validation_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Swap the weights back."""
        self._swap(model)

    @torch.no_grad()
    def _swap(self, model: VideoModel[Any]) -> None:
        """Swap the contents in place: a sharded weight must remain the same tensor object."""
        for name, part in model.ema_parts().items():
            for key, weight in part.state_dict().items():
                average = self.averages[name][key]
                before = weight.clone()
                weight.copy_(average)
                average.copy_(before)

    def on_save_checkpoint(self, trainer: Trainer, model: VideoModel[Any], checkpoint: dict[str, Any]) -> None:
        """Store the averages under ``ema``, part by part, where ``zoo.load`` reads them."""
        checkpoint["ema"] = self.averages

    def on_load_checkpoint(self, trainer: Trainer, model: VideoModel[Any], checkpoint: dict[str, Any]) -> None:
        """Restore the averages of the checkpoint."""
        self.averages = dict(checkpoint["ema"])
