"""Open the wandb run after the first step."""

from __future__ import annotations

from typing import Any

from lightning import Callback, Trainer

from zoo.model import VideoModel
from zoo.runs.wandb_logger import LazyWandbLogger


class LazyWandb(Callback):
    """Opens the wandb run after the first step.

    Importing wandb and starting its process takes 1.5 s, and a training that fails in its first step leaves no run. It
    must come before `Throughput`, which starts to measure after the first step.
    """

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Open the run, unless it is open."""
        for logger in trainer.loggers:
            if isinstance(logger, LazyWandbLogger):
                logger.open()
