"""Throughput of a training, and its time spent waiting for data."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any, cast

import torch
from lightning import Callback, Trainer

from zoo.data.module import ClipLoader
from zoo.model import VideoModel

MEBIBYTE = 2**20


class Throughput(Callback):
    """Logs ``perf/clips_per_s``, ``perf/wait_share`` (share of the time spent waiting for the loader's next batch, in
    [0, 1]) and ``perf/peak_memory_mib`` (of the GPU if one is used, else of this process).

    Validation does not count, nor does the first step, which includes initialisation.
    """

    def on_train_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Start measuring after the next step."""
        self.is_warm = False
        self._restart(trainer)

    def on_validation_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Restart, so that the validation does not count."""
        self._restart(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, model: VideoModel[Any], outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the clips of the step; log when losses are logged."""
        if not self.is_warm:
            self.is_warm = True
            self._restart(trainer)
            return
        self.clips += len(batch["video"]) * trainer.world_size
        if (batch_idx + 1) % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        elapsed = time.perf_counter() - self.since
        model.log("perf/clips_per_s", self.clips / elapsed)
        model.log("perf/wait_share", (_wait_seconds(trainer) - self.wait_seconds) / elapsed)
        model.log("perf/peak_memory_mib", peak_memory())
        self._restart(trainer)

    def _restart(self, trainer: Trainer) -> None:
        self.clips, self.since, self.wait_seconds = 0, time.perf_counter(), _wait_seconds(trainer)


def _wait_seconds(trainer: Trainer) -> float:
    """Seconds spent waiting for batches since the training began."""
    return cast(ClipLoader, trainer.train_dataloader).wait_seconds


def peak_memory() -> float:
    """Peak memory in MiB: reserved by PyTorch on the GPU, or the resident set size of a process that uses no GPU."""
    if torch.cuda.is_available() and (reserved := torch.cuda.max_memory_reserved()):
        return reserved / MEBIBYTE
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB, macOS in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEBIBYTE
