"""The same evaluation clips for every model, under one key and in one order: to look at, side by side."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.pytorch.loggers import WandbLogger
from torch import Tensor

from zoo.model import VideoModel
from zoo.pictures import detail_rows, rows_of, save_film, save_grid
from zoo.types import Clip, Sample

KEY = "gallery"


class Gallery(Callback):
    """Writes the first clips of every round as ``samples/<clips seen>.*``, the newest as ``gallery.*``."""

    def __init__(self, run: Path, clips: int, fps: float) -> None:
        self.run, self.clips, self.fps = run, clips, fps
        self.films: list[dict[str, Tensor]] = []
        self.details: list[dict[str, Tensor]] = []

    def on_validation_epoch_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Begin an empty gallery."""
        self.films, self.details = [], []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        model: VideoModel[Any],
        outputs: tuple[Clip, Sample],
        batch: Clip,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first clips of the round."""
        clip, sample = outputs
        for index in range(min(len(clip["video"]), self.clips - len(self.films))):
            self.films.append(rows_of(clip, sample, index, model.spec, model.source))
            self.details.append(detail_rows(sample, index))

    def on_validation_epoch_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Write and log them."""
        if not trainer.is_global_zero or not self.films:
            return
        folder = self.run / "samples"
        folder.mkdir(exist_ok=True)
        film, grid = (folder / f"{model.clips_seen:08d}.{ending}" for ending in ("mp4", "png"))
        save_film(film, self.films, self.fps)
        save_grid(grid, [rows | details for rows, details in zip(self.films, self.details, strict=True)])
        for path in (film, grid):
            shutil.copyfile(path, self.run / f"{KEY}{path.suffix}")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                import wandb  # takes a second, and not every run has it on

                logger.experiment.log({KEY: wandb.Video(str(film)), "seen/clips": model.clips_seen})
