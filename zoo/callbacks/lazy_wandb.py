"""Opens the run of wandb when the first step is over."""

from __future__ import annotations

from typing import Any

from lightning import Callback, Trainer

from zoo.model import VideoModel
from zoo.runs.wandb_logger import Wandb


class LazyWandb(Callback):
    """Importing wandb and starting its process takes a second and a half, which the first step does not wait for; and a
    training that fails in it leaves no run. Before the watch of `Throughput`, which starts then."""

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Open it, unless it is."""
        for logger in trainer.loggers:
            if isinstance(logger, Wandb):
                logger.open()
