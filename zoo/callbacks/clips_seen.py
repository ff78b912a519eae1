"""The x-axis of every curve: training clips seen, over all ranks."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, Trainer

from zoo.model import VideoModel
from zoo.runs.files import CLOCK


class ClipsSeen(Callback):
    """Logs ``seen/clips`` beside everything else. It also logs ``step``, which Lightning's loggers use as the x-axis
    instead of the count of optimizer steps."""

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the clips seen with the losses of the step; the model counted its clips when the step began."""
        self._log(model)

    def on_validation_epoch_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log the clips seen with the metrics of the round."""
        self._log(model)

    def _log(self, model: VideoModel[Any]) -> None:
        seen = torch.tensor(
            float(model.clips_seen)
        )  # a float would be copied to the device, and back for the progress bar
        model.log(CLOCK, seen, prog_bar=True)
        model.log("step", seen)
