"""Checkpoints from which a training goes on as if it had never stopped: every few minutes, around every round of
evaluation, and when it is asked to stop.

A state is whole between two steps: a step's losses are logged and its round of evaluation is over. Lightning offers no
hook there. `StepCheckpoint` therefore saves when the next batch is at hand, or a round begins, and sets the loops'
counters, which are a step ahead then, to what is true.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint

from zoo.errors import Stopped, ZooError
from zoo.model import VideoModel
from zoo.runs.csv_logger import MetricsFile
from zoo.runs.files import BEST, LAST

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""SIGUSR1 is what SLURM sends before a job's time is over, where `sbatch --signal=USR1@90` asks for it."""


class StepCheckpoint(Callback):
    """Writes ``last.ckpt`` at the latest so many minutes after the one before, ahead of each round of evaluation, and
    on a signal, after which it raises Stopped. Stands before the callbacks that swap weights for a round."""

    def __init__(self, run: Path, minutes: float) -> None:
        self.run, self.seconds = run, 60 * minutes
        self.saved_at = time.monotonic()
        self.asked = 0  # the number of the signal
        self.round_due: bool | None = None  # while a checkpoint is made between steps: whether a round comes next
        self.owes_round = False
        self.handlers: dict[int, Any] = {}

    # ---------------------------------------------------------------- when

    def on_train_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Listen for signals; Lightning's own handlers save nothing."""
        self.saved_at = time.monotonic()
        if self.owes_round:  # Lightning knows by now that it has a round to make up for
            _count_round(trainer.fit_loop.epoch_loop.val_loop.batch_progress.total.__dict__, -1)
            self.owes_round = False
        # In every step Lightning's loop would ask all ranks for a signal that it can no longer get, and wait for them.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing  # type: ignore[method-assign]
        if threading.current_thread() is threading.main_thread():
            self.handlers = {number: signal.signal(number, self._ask) for number in STOPPING}

    def teardown(self, trainer: Trainer, model: VideoModel[Any], stage: str) -> None:
        """Give the signals back."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def _ask(self, number: int, frame: Any) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice at the keyboard: at once
        self.asked = self.asked or number

    def on_train_batch_start(self, trainer: Trainer, model: VideoModel[Any], batch: Any, batch_idx: int) -> None:
        """The step before is over. Several ranks must agree, which takes time, and so do it more rarely."""
        if trainer.world_size > 1 and batch_idx % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        stop = self._stops(trainer)
        due = stop or trainer.strategy.broadcast(time.monotonic() - self.saved_at >= self.seconds)
        if due and batch_idx % (trainer.val_check_batch or 1):  # else a round has just saved
            self._save(trainer, round_due=False)
        if stop:
            raise Stopped(self.asked or signal.SIGTERM, model.clips_seen)

    def on_validation_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """A round can take long, and may be cut off."""
        if not trainer.sanity_checking:
            self._save(trainer, round_due=True)

    def on_validation_batch_start(
        self, trainer: Trainer, model: VideoModel[Any], batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Leave a round; it was saved before."""
        if trainer.world_size == 1 and self.asked:
            raise Stopped(self.asked, model.clips_seen)

    def _stops(self, trainer: Trainer) -> bool:
        """Whether any rank was asked to stop; all of them must say the same."""
        return bool(trainer.strategy.reduce_boolean_decision(bool(self.asked), all=False))

    # ---------------------------------------------------------------- what

    def _save(self, trainer: Trainer, round_due: bool) -> None:
        self.round_due = round_due
        try:
            save(trainer, self.run / LAST)
        finally:
            self.round_due = None
        self.saved_at = time.monotonic()

    def on_save_checkpoint(self, trainer: Trainer, model: VideoModel[Any], checkpoint: dict[str, Any]) -> None:
        """Set the counters of Lightning's loops to those between two steps."""
        rows = [logger.rows for logger in trainer.loggers if isinstance(logger, MetricsFile)]
        checkpoint["zoo"] = {"ranks": trainer.world_size, "round_due": bool(self.round_due), "rows": sum(rows)}
        if self.round_due is None:
            return
        loop = checkpoint["loops"]["fit_loop"]
        batches = loop["epoch_loop.batch_progress"]
        for count in (batches["current"], batches["total"]):
            count["ready"] = count["completed"]
        if self.round_due:
            _count_round(loop["epoch_loop.val_loop.batch_progress"]["total"], 1)
        else:
            batches["is_last_batch"] = False
            for loader in loop["state_dict"]["combined_loader"]:
                loader["position"] = model.clips_seen

    def on_load_checkpoint(self, trainer: Trainer, model: VideoModel[Any], checkpoint: dict[str, Any]) -> None:
        """Clips are shared out among ranks; another number of them would train on other batches."""
        if (ranks := checkpoint["zoo"]["ranks"]) != trainer.world_size:
            raise ZooError(
                f"{self.run} was trained by {ranks} processes, and here are {trainer.world_size}; a step would see "
                f"other clips. Go on with {ranks}, or train anew."
            )
        self.owes_round = checkpoint["zoo"]["round_due"]


def _nothing() -> None:
    pass


def _count_round(total: dict[str, int], by: int) -> None:
    """Let Lightning's counters of a validation say that one has begun and was cut off, for it then repeats it."""
    total["ready"] += by
    total["started"] += by


def save(trainer: Trainer, path: Path) -> None:
    """A checkpoint; what was logged before it reaches the disk before it does."""
    for logger in trainer.loggers:
        logger.save()
    trainer.save_checkpoint(path)


class BestCheckpoint(Checkpoint):
    """Writes ``best.ckpt`` where a round was better than all before by the objective, and ``last.ckpt`` after each;
    Lightning calls it after all others."""

    def __init__(self, run: Path, objective: tuple[str, str] | None) -> None:
        self.run, self.objective = run, objective
        self.best: float | None = None

    def on_validation_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """The best first: what is last knows what was best."""
        if trainer.sanity_checking:
            return
        if self.objective and self._is_better(value := float(trainer.callback_metrics[self.objective[0]])):
            self.best = value
            save(trainer, self.run / BEST)
        save(trainer, self.run / LAST)

    def _is_better(self, value: float) -> bool:
        assert self.objective
        sign = 1.0 if self.objective[1] == "max" else -1.0
        return self.best is None or math.isnan(self.best) or sign * value > sign * self.best

    def state_dict(self) -> dict[str, Any]:
        """What was best so far."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on comparing."""
        self.best = state["best"]


class FinalValidation(Callback):
    """Makes Lightning validate after the last step, also where the rounds do not divide the budget."""

    def on_train_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """A training that was cut off in its last round."""
        self._look(trainer)

    def on_train_batch_start(self, trainer: Trainer, model: VideoModel[Any], batch: Any, batch_idx: int) -> None:
        """Without a number of batches between rounds, the last batch of the epoch is followed by one."""
        self._look(trainer)

    def _look(self, trainer: Trainer) -> None:
        if trainer.is_last_batch:
            trainer.val_check_batch = float("inf")
