"""Moving averages of the weights that sampling uses; validation and later sampling work with them."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from zoo.devices.sharded_checkpoint import shard_like
from zoo.model import VideoModel

RAMP = 0.1  # early on the half-life is a tenth of the clips seen, so that the average forgets the beginning


class MovingAverage(Callback):
    """Keeps ``average ← b·average + (1-b)·weights`` of each of ``model.ema_parts()`` after every step.

    half_life: clips after which a weight counts half, whatever the batch size: b = 0.5^(clips of the step / half-life).
    Sharded weights have sharded averages.
    """

    def __init__(self, half_life: float) -> None:
        self.half_life = half_life
        self.averages: dict[str, dict[str, Tensor]] = {}

    @torch.no_grad()
    def on_train_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Start from the weights as they are, or go on from a checkpoint: where the model is, and as precise."""
        for name, part in model.ema_parts().items():
            weights = part.state_dict()
            kept = self.averages.get(name, weights)
            self.averages[name] = {key: shard_like(weight, kept[key]).clone() for key, weight in weights.items()}

    def decay(self, step_clips: int, clips_seen: int) -> float:
        """b of one step."""
        return float(0.5 ** (step_clips / max(min(self.half_life, RAMP * clips_seen), 1e-8)))

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move every average a step towards the weights; buffers are copied."""
        decay = self.decay(len(batch["video"]) * trainer.world_size, model.clips_seen)
        for name, part in model.ema_parts().items():
            trained = {key for key, _ in part.named_parameters()}
            for key, weight in part.state_dict().items():
                if key in trained:
                    self.averages[name][key].lerp_(weight, 1 - decay)
                else:
                    self.averages[name][key].copy_(weight)

    def on_validation_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Evaluate the averages."""
        self._swap(model)

    def on_validation_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Go on training the weights."""
        self._swap(model)

    @torch.no_grad()
    def _swap(self, model: VideoModel[Any]) -> None:
        """By content: a sharded weight must stay the tensor that it is."""
        for name, part in model.ema_parts().items():
            for key, weight in part.state_dict().items():
                average = self.averages[name][key]
                before = weight.clone()
                weight.copy_(average)
                average.copy_(before)

    def on_save_checkpoint(self, trainer: Trainer, model: VideoModel[Any], checkpoint: dict[str, Any]) -> None:
        """Keep the averages under ``ema``, part by part, where ``zoo.load`` looks for them."""
        checkpoint["ema"] = self.averages

    def on_load_checkpoint(self, trainer: Trainer, model: VideoModel[Any], checkpoint: dict[str, Any]) -> None:
        """Go on from the averages of the checkpoint."""
        self.averages = dict(checkpoint["ema"])
