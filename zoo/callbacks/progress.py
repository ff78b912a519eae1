"""Progress of a training: a bar in a terminal or notebook, and lines in a log file."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

import rich
from lightning import Trainer
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar

from zoo.model import VideoModel

logger = logging.getLogger(__name__)

INTERVAL = 30.0  # seconds between two lines
SHOWN_LOSSES = 4


def build_progress(budget: int) -> ProgressBar:
    """Build a progress bar if rich can draw one, else a callback that logs lines. budget: clips of the training."""
    console = rich.get_console()
    can_draw = console.is_jupyter or (console.is_terminal and not console.is_dumb_terminal)
    return TrainingBar() if can_draw else ProgressLines(budget)


class TrainingBar(RichProgressBar):
    """Rich's bar. A training is one pass over its budget, so it shows no epochs."""

    def _get_train_description(self, current_epoch: int) -> str:
        return "training"

    def get_metrics(self, trainer: Trainer, model: VideoModel[Any]) -> dict[str, int | str | float | dict[str, float]]:
        """Metrics beside the bar, without the version that Lightning reads off wandb's id."""
        return {key: value for key, value in super().get_metrics(trainer, model).items() if key != "v_num"}


class ProgressLines(ProgressBar):
    """Logs the progress as text: a line at the start, after each validation round, and every ``interval`` seconds.

    A line shows the clips seen, their share of the budget, training clips/s since the last line (validation excluded),
    the estimated time left, and the first losses of the last step or the metrics of the round. Only the main process
    logs, and values are read from the device only when a line is due.
    """

    def __init__(self, budget: int, interval: float = INTERVAL) -> None:
        super().__init__()
        self.budget, self.interval = budget, interval
        self.enabled = True

    def disable(self) -> None:
        """Log nothing; Lightning calls it on all processes but the main one."""
        self.enabled = False

    def enable(self) -> None:
        """Log again."""
        self.enabled = True

    def on_train_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log where the run is and how long it will be."""
        self.started_at, self.first_clips = time.monotonic(), model.clips_seen
        self._start_interval(model)
        if self.enabled:
            logger.info(f"training for {self.budget:,} clips in {trainer.default_root_dir}")

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log a line if one is due."""
        if time.monotonic() - self.last_at >= self.interval:
            self._log(trainer, model, "training")
            self._start_interval(model)

    def on_validation_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Stop the clock of the training speed."""
        if not trainer.sanity_checking:
            self.validation_at = time.monotonic()

    def on_validation_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log a line with the metrics of the round."""
        if not trainer.sanity_checking:
            self.last_at += time.monotonic() - self.validation_at
            self._log(trainer, model, "validated")
            self._start_interval(model)

    def _start_interval(self, model: VideoModel[Any]) -> None:
        self.last_at, self.last_clips = time.monotonic(), model.clips_seen

    def _log(self, trainer: Trainer, model: VideoModel[Any], state: str) -> None:
        if not self.enabled:
            return
        now, seen = time.monotonic(), model.clips_seen
        speed = (seen - self.last_clips) / max(now - self.last_at, 1e-9)
        per_clip = (now - self.started_at) / max(seen - self.first_clips, 1)  # with validation
        left = timedelta(seconds=round(max(self.budget - seen, 0) * per_clip))
        parts = [f"{state:9s} {seen:,}/{self.budget:,} clips ({seen / self.budget:.0%})"]
        parts += [f"{speed:.1f} clips/s"] if seen > self.last_clips else []
        parts += [f"{left} left"] if seen > self.first_clips else []
        values = {f"train/loss/{part}": loss for part, loss in list(model.losses.items())[:SHOWN_LOSSES]}
        if state == "validated":
            values = {key: value for key, value in trainer.callback_metrics.items() if key.startswith("val/")}
        parts += [f"{key} {float(value):.4g}" for key, value in values.items()]
        logger.info("    ".join(parts))
