"""Checkpoints from which a training resumes exactly: every few minutes, around every validation round, and on a signal.

The state is consistent between two steps: the losses of a step are logged and its validation round is over. Lightning
has no hook at that moment. `StepCheckpoint` therefore saves when the next batch arrives or a round begins. The counters
of Lightning's loops are one step ahead by then, so it sets them back in the checkpoint.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lightning import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch.optim.lr_scheduler import LambdaLR

from zoo.errors import Stopped, ZooError
from zoo.model import VideoModel
from zoo.runs.csv_logger import MetricsCsvLogger
from zoo.runs.files import BEST, CLOCK, LAST
from zoo.runs.wandb_logger import LazyWandbLogger

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from zoo.data.module import VideoData

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""Signals that stop a training. SIGHUP comes when a terminal is closed, unless nohup keeps it away. SLURM sends SIGUSR1
before a job's time is over with `sbatch --signal=USR1@90`."""


class StepCheckpoint(Callback):
    """Writes ``last.ckpt`` every few minutes, before each validation round, and on a signal, after which it raises
    Stopped. It must come before the callbacks that swap weights for a round.

    run: run folder. minutes: longest time between two writes.
    """

    def __init__(self, run: Path, minutes: float) -> None:
        self.run, self.seconds = run, 60 * minutes
        self.saved_at = time.monotonic()
        self.saved_for_stop = False
        self.stop_signal = 0  # number of the signal that was received
        self.round_due: bool | None = None  # while this callback saves: whether a round comes next
        self.round_interrupted = False
        self.extended = False  # whether a finished training continues, with a larger budget
        self.handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Install signal handlers; Lightning's own handlers save nothing."""
        self.saved_at = time.monotonic()
        if self.round_interrupted:  # Lightning has read the counters and will repeat the round
            _count_round(trainer.fit_loop.epoch_loop.val_loop.batch_progress.total.__dict__, -1)
            self.round_interrupted = False
        if self.extended:
            _follow_schedules(trainer)
        # In every step Lightning asks all ranks for a signal that its handlers no longer receive, and waits for them.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN]
            self.trainer, self.model = trainer, model
            self.handlers = {number: signal.signal(number, self._request_stop) for number in heard}

    def teardown(self, trainer: Trainer, model: VideoModel[Any], stage: str) -> None:
        """Restore the previous signal handlers."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def _request_stop(self, number: int, frame: Any) -> None:
        """Stop after the current step; at once where the next batch is waited for, or at a second Ctrl-C."""
        if self.stop_signal and number == signal.SIGINT:
            raise Stopped(number, self.model.clips_seen, saved=False)
        if number == signal.SIGINT and not self.stop_signal:
            logger.info("\nStopping after this step. Ctrl-C again stops at once and loses the steps since last.ckpt.")
        self.stop_signal = self.stop_signal or number
        if self.trainer.world_size == 1 and getattr(self.trainer.train_dataloader, "waiting", False):
            raise Stopped(self.stop_signal, self.model.clips_seen)

    def on_exception(self, trainer: Trainer, model: VideoModel[Any], exception: BaseException) -> None:
        """Save if a signal came between two steps, while the next batch was waited for."""
        completed = trainer.fit_loop.epoch_loop.batch_progress.current.completed
        after_round = not completed % (trainer.val_check_batch or 1)  # which has just saved
        if isinstance(exception, Stopped) and exception.saved and not self.saved_for_stop and not after_round:
            self._save(trainer, round_due=False)

    def on_train_batch_start(self, trainer: Trainer, model: VideoModel[Any], batch: Any, batch_idx: int) -> None:
        """Save or stop after the previous step. Agreement of several ranks takes time, so they check less often."""
        if trainer.world_size > 1 and batch_idx % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        # All ranks must take the same decision.
        stop = bool(trainer.strategy.reduce_boolean_decision(bool(self.stop_signal), all=False))
        due = stop or trainer.strategy.broadcast(time.monotonic() - self.saved_at >= self.seconds)
        if due and batch_idx % (trainer.val_check_batch or 1):  # otherwise a round has just saved
            self._save(trainer, round_due=False)
        if stop:
            self.saved_for_stop = True
            raise Stopped(self.stop_signal or signal.SIGTERM, model.clips_seen)

    def on_validation_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Save before a round, which can take long and may be interrupted."""
        if not trainer.sanity_checking:
            self._save(trainer, round_due=True)

    def on_validation_batch_start(
        self, trainer: Trainer, model: VideoModel[Any], batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Stop within a round on a signal; the state before the round is saved."""
        if trainer.world_size == 1 and self.stop_signal:
            self.saved_for_stop = True
            raise Stopped(self.stop_signal, model.clips_seen)

    def _save(self, trainer: Trainer, round_due: bool) -> None:
        self.round_due = round_due
        try:
            save(trainer, self.run / LAST)
        finally:
            self.round_due = None
        self.saved_at = time.monotonic()

    def on_save_checkpoint(self, trainer: Trainer, model: VideoModel[Any], checkpoint: dict[str, Any]) -> None:
        """Set the counters of Lightning's loops back to their values between two steps."""
        rows = [logger.rows for logger in trainer.loggers if isinstance(logger, MetricsCsvLogger)]
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
        """Refuse another number of ranks: clips are divided among them, so batches would differ."""
        if (ranks := checkpoint["zoo"]["ranks"]) != trainer.world_size:
            raise ZooError(
                f"{self.run} was trained by {ranks} processes, but there are {trainer.world_size} here, so a step "
                f"would see other clips. Resume with {ranks} processes, or start a new training."
            )
        self.round_interrupted = checkpoint["zoo"]["round_due"]
        batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        self.extended = batches["is_last_batch"] and _has_steps_left(trainer, checkpoint["clips_seen"])
        if self.extended:
            batches["is_last_batch"] = False
            for loader in checkpoint["loops"]["fit_loop"]["state_dict"]["combined_loader"]:
                loader["position"] = checkpoint["clips_seen"]


def _has_steps_left(trainer: Trainer, clips_seen: int) -> bool:
    """Whether the budget has a step after the first ``clips_seen`` clips."""
    data = cast("VideoData", trainer.datamodule)  # type: ignore[attr-defined]
    step = data.config.batch_size * trainer.world_size
    return clips_seen // step < data.budget // step


def _follow_schedules(trainer: Trainer) -> None:
    """Set learning rates to where the schedules stand with the new budget; they ended at zero with the old one."""
    for each in trainer.lr_scheduler_configs:
        schedule = each.scheduler
        if isinstance(schedule, LambdaLR):
            groups = zip(schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True)
            for group, lr, factor in groups:
                group["lr"] = lr * factor(schedule.last_epoch)


def _count_round(total: dict[str, int], by: int) -> None:
    """Make Lightning's validation counters say that a round was interrupted, so that it repeats the round."""
    total["ready"] += by
    total["started"] += by


def save(trainer: Trainer, path: Path) -> None:
    """Write a checkpoint, after everything that was logged before it is on disk."""
    for logger in trainer.loggers:
        logger.save()
    trainer.save_checkpoint(path)


class BestCheckpoint(Checkpoint):
    """Writes ``best.ckpt`` after a round that is the best so far, and ``last.ckpt`` after every round.

    objective: key of the monitored metric, and ``min`` or ``max``; None writes no ``best.ckpt``. Lightning calls this
    callback after all others.
    """

    def __init__(self, run: Path, objective: tuple[str, str] | None) -> None:
        self.run, self.objective = run, objective
        self.best: float | None = None

    def on_validation_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Write ``best.ckpt`` first, so that ``last.ckpt`` holds the best value."""
        if trainer.sanity_checking:
            return
        if self.objective and self._is_better(value := float(trainer.callback_metrics[self.objective[0]])):
            self.best = value
            for logger in trainer.loggers:
                if isinstance(logger, LazyWandbLogger):
                    logger.use(partial(_summarise, key=self.objective[0], value=value, clips_seen=model.clips_seen))
            save(trainer, self.run / BEST)
        save(trainer, self.run / LAST)

    def _is_better(self, value: float) -> bool:
        assert self.objective
        sign = 1.0 if self.objective[1] == "max" else -1.0
        return self.best is None or math.isnan(self.best) or sign * value > sign * self.best

    def state_dict(self) -> dict[str, Any]:
        """Return the best value so far."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the best value so far."""
        self.best = state["best"]


def _summarise(run: Any, key: str, value: float, clips_seen: int) -> None:
    """State the best value so far in the summary of the wandb run."""
    run.summary.update({f"best/{key}": value, f"best/{CLOCK}": clips_seen})


class FinalValidation(Callback):
    """Makes Lightning validate after the last step, even if the budget is not a multiple of the round's length."""

    def on_train_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Handle a training that was interrupted in its last round."""
        self._validate_after_last_batch(trainer)

    def on_train_batch_start(self, trainer: Trainer, model: VideoModel[Any], batch: Any, batch_idx: int) -> None:
        """Handle the last batch."""
        self._validate_after_last_batch(trainer)

    def _validate_after_last_batch(self, trainer: Trainer) -> None:
        """With an infinite number of batches between rounds, Lightning validates at the end of the epoch."""
        if trainer.is_last_batch:
            trainer.val_check_batch = float("inf")
