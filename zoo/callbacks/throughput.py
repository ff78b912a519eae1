"""How fast a training runs, and how long it waits for data."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch
from lightning import Callback, Trainer

from zoo.model import VideoModel

MEBIBYTE = 2**20


class Throughput(Callback):
    """Logs ``perf/clips_per_s``, ``perf/wait_share`` (of the time between steps, waiting for data, in [0, 1]) and
    ``perf/peak_memory_mib`` (of the GPU if there is one, else of this process). Validation does not count, nor does the
    first step, in which much is done for the first time."""

    def __init__(self) -> None:
        self.is_warm = False
        self._reset()

    def _reset(self) -> None:
        self.clips, self.waited, self.since = 0, 0.0, time.perf_counter()
        self.step_ended = self.since

    def on_train_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Start anew: the next step is a first one."""
        self.is_warm = False
        self._reset()

    def on_validation_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Start the watch anew, without the validation."""
        self._reset()

    def on_train_batch_start(self, trainer: Trainer, model: VideoModel[Any], batch: Any, batch_idx: int) -> None:
        """The wait is over."""
        self.waited += time.perf_counter() - self.step_ended

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the step; log where the losses are logged too."""
        if not self.is_warm:
            self.is_warm = True
            self._reset()
            return
        self.step_ended = time.perf_counter()
        self.clips += len(batch["video"]) * trainer.world_size
        if (batch_idx + 1) % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        elapsed = self.step_ended - self.since
        model.log("perf/clips_per_s", self.clips / elapsed)
        model.log("perf/wait_share", self.waited / elapsed)
        model.log("perf/peak_memory_mib", peak_memory())
        self._reset()


def peak_memory() -> float:
    """MiB: what PyTorch reserved at most on the GPU, or the largest resident size of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved() / MEBIBYTE
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB, macOS in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEBIBYTE
