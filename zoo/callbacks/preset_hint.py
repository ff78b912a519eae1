"""On a GPU, a training with the small preset is told once that the published settings are within reach, too."""

from __future__ import annotations

import logging
from typing import Any

from lightning import Callback, Trainer

from zoo.card import PAPER, SMALL
from zoo.model import VideoModel

logger = logging.getLogger(__name__)


class PresetHint(Callback):
    """Suggests ``model.preset=paper`` if the model has it, the preset is `small` and the device is no CPU."""

    def on_fit_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log the line."""
        config = model.config
        is_small = config.preset == SMALL and PAPER in config.presets
        if trainer.is_global_zero and is_small and trainer.strategy.root_device.type != "cpu":
            logger.info(
                f"The default {config.name} is sized for a laptop. On a GPU the published settings train, too: "
                f"model.preset={PAPER}"
            )
