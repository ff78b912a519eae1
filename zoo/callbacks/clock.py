"""Puts the clock of every curve, clips seen over all ranks, beside whatever is logged."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, Trainer

from zoo.model import VideoModel
from zoo.runs.files import CLOCK


class Clock(Callback):
    """Logs ``seen/clips``; Lightning takes ``step`` as the x-axis of its loggers in place of its own count."""

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the clock with the losses of the step; the model has counted the step when it began."""
        self._log(model)

    def on_validation_epoch_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log the clock with the metrics of the round."""
        self._log(model)

    def _log(self, model: VideoModel[Any]) -> None:
        seen = torch.tensor(float(model.clips_seen))  # a number would be copied to the device, and back for the bar
        model.log(CLOCK, seen, prog_bar=True)
        model.log("step", seen)
