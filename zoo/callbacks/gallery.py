"""Gallery of samples: every model shows the same evaluation clips, under the same keys and in the same order."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from einops import rearrange
from lightning import Callback, Trainer
from torch import Tensor

from zoo.data.decode import write_video
from zoo.devices.collectives import gather_from_ranks
from zoo.io.atomic import copy_atomically, write_text
from zoo.io.own_files import inside, make_folder
from zoo.model import VideoModel
from zoo.runs.files import CLIPS, CLOCK, FILM_KINDS, GALLERY_GRID, GALLERY_VIDEO, INDEX, SAMPLES
from zoo.runs.wandb_logger import LazyWandbLogger
from zoo.types import Clip, Sample
from zoo.visualization.grids import detail_rows, sample_films, save_film, save_grid

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run

KEY, TABLE = "gallery", "comparison"


class Gallery(Callback):
    """Writes the first clips of every validation round as ``samples/<clips seen>.*``. Those of the last round are also
    in ``gallery.*`` and, one video each, in ``clips/``. wandb gets a video and a table with one row per clip.

    run: run folder. clips: number of clips. fps: frames per second of the videos. paired: show the real clip that each
    sample should equal.
    """

    def __init__(self, run: Path, clips: int, fps: float, paired: bool) -> None:
        self.run, self.clips, self.fps, self.paired = run, clips, fps, paired
        self.keys: list[str] = []
        self.films: list[dict[str, Tensor]] = []
        self.details: list[dict[str, Tensor]] = []

    def on_validation_epoch_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Clear the gallery."""
        self.keys, self.films, self.details = [], [], []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        model: VideoModel[Any],
        outputs: tuple[Clip, Sample] | None,
        batch: Clip,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first clips of the round; ``outputs`` is None on a rank without clips."""
        if outputs is None:
            return
        clip, sample = outputs
        for index in range(min(len(clip["video"]), self.clips - len(self.films))):
            self.keys.append(sample.names[index])
            self.films.append(sample_films(clip, sample, index, model.spec, model.source, self.paired))
            self.details.append(detail_rows(sample, index))

    def on_validation_epoch_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Write and log the gallery. Rank 0 has the first clips."""
        self.keys, self.films, self.details = (
            gather_from_ranks(self.keys)[: self.clips],
            gather_from_ranks(self.films)[: self.clips],
            gather_from_ranks(self.details)[: self.clips],
        )
        if not trainer.is_global_zero or not self.films:
            return
        folder = make_folder(self.run, SAMPLES)
        video, grid = (folder / f"{model.clips_seen:08d}.{ending}" for ending in ("mp4", "png"))
        save_film(video, self.films, self.fps)
        save_grid(grid, [rows | details for rows, details in zip(self.films, self.details, strict=True)])
        copy_atomically(video, self.run / GALLERY_VIDEO)
        copy_atomically(grid, self.run / GALLERY_GRID)
        clips = self._write_clips()
        for logger in trainer.loggers:
            if isinstance(logger, LazyWandbLogger):
                logger.use(partial(_log_to_wandb, video=video, clips=clips, seen=model.clips_seen))

    def _write_clips(self) -> dict[str, dict[str, Path]]:
        """Write each video of each clip, and their index; returns clip key -> kind -> file."""
        folder = make_folder(self.run, CLIPS)
        written: dict[str, dict[str, Path]] = {}
        for number, (key, films) in enumerate(zip(self.keys, self.films, strict=True)):
            written[key] = {kind: inside(folder, f"{number:02d}", f"{kind}.mp4") for kind in films}
            for kind, path in written[key].items():
                write_video(path, rearrange(films[kind], "t c h w -> t h w c").numpy(), self.fps)
        index = {key: {kind: str(p.relative_to(folder)) for kind, p in films.items()} for key, films in written.items()}
        write_text(folder / INDEX, json.dumps(index, indent=2) + "\n")
        return written


def _log_to_wandb(run: Run, video: Path, clips: dict[str, dict[str, Path]], seen: int) -> None:
    """Log the gallery as one video and as a table with one row per clip."""
    import wandb  # imported late: it takes a second, and not every run uses wandb

    table = wandb.Table(columns=["clip", *FILM_KINDS])
    for key, films in clips.items():
        table.add_data(key, *(wandb.Video(str(films[kind])) if kind in films else None for kind in FILM_KINDS))
    run.log({KEY: wandb.Video(str(video)), TABLE: table, CLOCK: seen}, step=seen)
