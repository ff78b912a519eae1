"""How long a training will take and how much memory it needs: a line after its first steps, corrected later."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

from lightning import Callback, Trainer

from zoo.callbacks.throughput import peak_memory
from zoo.model import VideoModel

logger = logging.getLogger(__name__)

STEPS, SECONDS = 5, 3.0
"""Fewest steps and seconds over which the speed is measured."""
TOLERANCE = 0.2
"""An estimate is corrected if it was off by more than this share of its value, and by more than SHORTEST."""
LINES = 5
"""Most lines of a training."""
SHORTEST = 20.0
"""Fewest seconds left, or of a correction, for which a line is logged."""


class Estimate(Callback):
    """Logs the time that is left and the peak memory, in one line.

    The first line comes after a few steps, or before the first validation round if that is earlier. The first step does
    not count, because it includes initialisation. A round is measured when it has ended; from then on all remaining
    rounds are included. Further lines are logged only for corrections.

    Only the main process measures and logs. Nothing is read from the device.
    """

    def on_train_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Start measuring after the next step."""
        self.step_ended: float | None = None
        self.round_seconds: float | None = None  # of the last validation round
        self.clip_seconds: float | None = None  # a moving average over windows
        self.window = SECONDS  # shortest time over which the speed is measured next
        self.lines = 0

    def on_train_batch_start(self, trainer: Trainer, model: VideoModel[Any], batch: Any, batch_idx: int) -> None:
        """Measure the validation round that has just ended, with everything that other callbacks did in it."""
        if self.step_ended is None or not _round_follows(trainer, batch_idx):
            return
        self.round_seconds = time.monotonic() - self.step_ended
        self.since += self.round_seconds
        if self.clip_seconds:
            self._update(trainer, model, batch_idx, rounds=_count_rounds(trainer, batch_idx))

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure the speed if enough steps were taken."""
        if not trainer.is_global_zero:
            return
        is_first, self.step_ended = self.step_ended is None, time.monotonic()
        if is_first:
            self._restart()
            return
        self.steps += 1
        self.clips += model.step_clips
        elapsed = self.step_ended - self.since
        is_measured = self.steps >= STEPS and elapsed >= self.window
        if is_measured or (not self.lines and _round_follows(trainer, batch_idx + 1)):
            measured = max(elapsed, 1e-9) / self.clips
            self.clip_seconds = (measured + (self.clip_seconds or measured)) / 2
            left = self._update(trainer, model, batch_idx + 1, rounds=_count_rounds(trainer, batch_idx))
            # Longer and longer, so that noise in the speed causes no corrections, but short beside what is left.
            self.window = max(SECONDS, min(2 * self.window, left / 10))
            self._restart()

    def _restart(self) -> None:
        self.steps, self.clips, self.since = 0, 0, time.monotonic()

    def _update(self, trainer: Trainer, model: VideoModel[Any], steps: int, rounds: int) -> float:
        """Estimate the seconds that are left, and log them if they are new. steps, rounds: completed ones."""
        assert self.clip_seconds
        clips_left = (int(trainer.num_training_batches) - steps) * model.step_clips
        rounds_left = math.ceil(trainer.num_training_batches / _steps_per_round(trainer)) - rounds
        left = clips_left * self.clip_seconds + rounds_left * (self.round_seconds or 0.0)
        memory = peak_memory()
        if left >= SHORTEST and self.lines < LINES and self._is_news(left, memory):
            of_rounds = f", {_describe_rounds(rounds_left, self.round_seconds)}" if rounds_left else ""
            kind = "GPU memory" if model.device.type == "cuda" else "memory"
            logger.info(
                f"{'now ' if self.lines else ''}about {format_duration(left)} left "
                f"({clips_left:,} clips at {_format_speed(1 / self.clip_seconds)} clips/s{of_rounds}), "
                f"{memory / 1024:.1f} GiB of {kind}{' per process' if trainer.world_size > 1 else ''}"
            )
            self.lines += 1
            self.logged_left, self.logged_end, self.logged_memory = left, time.monotonic() + left, memory
        return left

    def _is_news(self, left: float, memory: float) -> bool:
        """Whether nothing was logged yet, or it was off by more than the tolerance."""
        if not self.lines:
            return True
        delay = time.monotonic() + left - self.logged_end
        return abs(delay) > max(TOLERANCE * self.logged_left, SHORTEST) or memory > (1 + TOLERANCE) * self.logged_memory


def format_duration(seconds: float) -> str:
    """Format a duration with two units at most: ``40 s``, ``12 min``, ``3 h 20 min``, ``2 d 5 h``."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 180:
        return f"{seconds:.0f} s" if seconds >= 1 else "less than 1 s"
    if minutes < 100:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"


def _steps_per_round(trainer: Trainer) -> float:
    """Steps between two validation rounds; infinite without validation, and in the last step by `FinalValidation`."""
    return trainer.val_check_batch or 1 if trainer.enable_validation else math.inf


def _round_follows(trainer: Trainer, steps: int) -> bool:
    """Whether a validation round comes after so many steps."""
    return steps % _steps_per_round(trainer) == 0


def _count_rounds(trainer: Trainer, steps: int) -> int:
    """Validation rounds of the first steps."""
    return int(steps // _steps_per_round(trainer))


def _describe_rounds(rounds: int, seconds: float | None) -> str:
    if seconds is None:
        return "without validation"
    return f"{rounds} validation round{'s' if rounds > 1 else ''} of {format_duration(seconds)}"


def _format_speed(clips_per_s: float) -> str:
    return f"{clips_per_s:,.1f}" if clips_per_s >= 1 else f"{clips_per_s:.2g}"
