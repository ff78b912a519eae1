"""The progress bar."""

from __future__ import annotations

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar


class ProgressBar(RichProgressBar):
    """Rich's progress bar. A training is one pass over its budget, so no epochs are counted."""

    def _get_train_description(self, current_epoch: int) -> str:
        return "training"

    def get_metrics(self, trainer: Trainer, model: LightningModule) -> dict[str, int | str | float | dict[str, float]]:
        """Omit the version number that Lightning derives from wandb's run id."""
        return {key: value for key, value in super().get_metrics(trainer, model).items() if key != "v_num"}
