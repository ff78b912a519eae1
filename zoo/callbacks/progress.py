"""The progress bar, and the end of a training."""

from __future__ import annotations

from typing import Any

from lightning import Callback, Trainer
from lightning.pytorch.callbacks import RichProgressBar

from zoo.model import VideoModel


class Bar(RichProgressBar):
    """Rich's bar. A training is one pass over its budget, so there are no epochs to count."""

    def _get_train_description(self, current_epoch: int) -> str:
        return "training"


class LastRound(Callback):
    """Makes Lightning validate after the last step, also where the rounds do not divide the budget."""

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A trainer that should stop validates before it does."""
        if trainer.is_last_batch:
            trainer.should_stop = True
