"""Moving averages of the weights that sampling uses; validation and later sampling work with them."""

from __future__ import annotations

from copy import deepcopy
from itertools import chain
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import nn

from zoo.model import VideoModel

RAMP = 0.1  # early on the half-life is a tenth of the clips seen, so that the average forgets the beginning


class MovingAverage(Callback):
    """Keeps ``average ← b·average + (1-b)·weights`` of each of ``model.ema_parts()`` after every step.

    half_life: clips after which a weight counts half, whatever the batch size: b = 0.5^(clips of the step / half-life).
    """

    def __init__(self, half_life: float) -> None:
        self.half_life = half_life
        self.averages: dict[str, nn.Module] = {}

    def setup(self, trainer: Trainer, model: VideoModel[Any], stage: str) -> None:
        """Start from the weights as they are."""
        if not self.averages:
            self.averages = {name: deepcopy(part).requires_grad_(False) for name, part in model.ema_parts().items()}

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
            average = self._average(name, model)
            for mean, weight in zip(average.parameters(), part.parameters(), strict=True):
                mean.lerp_(weight, 1 - decay)
            for kept, buffer in zip(average.buffers(), part.buffers(), strict=True):
                kept.copy_(buffer)

    def _average(self, name: str, model: VideoModel[Any]) -> nn.Module:
        """Where the model is, and as precise; Lightning casts the model after `setup`."""
        like = next(model.parameters())
        return self.averages[name].to(like.device, like.dtype)

    def on_validation_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Evaluate the averages."""
        self._swap(model)

    def on_validation_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Go on training the weights."""
        self._swap(model)

    @torch.no_grad()
    def _swap(self, model: VideoModel[Any]) -> None:
        for name, part in model.ema_parts().items():
            average = self._average(name, model)
            parameters = zip(average.parameters(), part.parameters(), strict=True)
            buffers = zip(average.buffers(), part.buffers(), strict=True)
            for mean, weight in chain(parameters, buffers):
                mean.data, weight.data = weight.data, mean.data

    def on_save_checkpoint(self, trainer: Trainer, model: VideoModel[Any], checkpoint: dict[str, Any]) -> None:
        """Keep the averages under ``ema``, part by part, where ``zoo.load`` looks for them."""
        checkpoint["ema"] = {name: average.state_dict() for name, average in self.averages.items()}

    def on_load_checkpoint(self, trainer: Trainer, model: VideoModel[Any], checkpoint: dict[str, Any]) -> None:
        """Go on from the averages of the checkpoint."""
        for name, state in checkpoint["ema"].items():
            self.averages[name].load_state_dict(state)
