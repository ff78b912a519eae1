"""The progress bar, and the end of a training."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar

from zoo.model import VideoModel


class Bar(RichProgressBar):
    """Rich's bar. A training is one pass over its budget, so there are no epochs to count."""

    def _get_train_description(self, current_epoch: int) -> str:
        return "training"

    def get_metrics(self, trainer: Trainer, model: LightningModule) -> dict[str, int | str | float | dict[str, float]]:
        """Without the number that Lightning makes of wandb's id."""
        return {key: value for key, value in super().get_metrics(trainer, model).items() if key != "v_num"}


class LastRound(Callback):
    """Makes Lightning validate after the last step, also where the rounds do not divide the budget."""

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A trainer that should stop validates before it does."""
        if trainer.is_last_batch:
            trainer.should_stop = True
