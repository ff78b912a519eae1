"""Names of the files in a run folder, shared by the code that writes and reads them. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ZooError
from zoo.io.bounded import read_bounded

CONFIG, COMMAND, ENVIRONMENT = "config.yaml", "command.txt", "environment.json"
LAST, BEST = "last.ckpt", "best.ckpt"
CHECKPOINTS = (LAST, BEST)
"""Checkpoints of a run; the first one that exists is loaded."""
RESULTS = "results.jsonl"
METRICS = "metrics.csv"
OUTCOME = "outcome.json"
DATA = "data.json"
"""Record of the files that the data was made of."""
CLIPS, INDEX = "clips", "index.json"
"""Folder with the evaluation clips of the latest validation round, one folder a clip, and the index in it: clip key ->
kind -> video file."""
FILM_KINDS = ("given", "real", "generated")
"""Kinds of videos of a clip. Some models have no ``given``: their input cannot be shown."""
SAMPLES = "samples"
"""Folder with the samples of every validation round, and those of `zoo.sample`."""
GALLERY_VIDEO, GALLERY_GRID, CURVES = "gallery.mp4", "gallery.png", "curves.png"
FRAME_CURVES = "curves"
"""Folder with a plot of paired metrics over frames for every protocol that `zoo.evaluate` measured."""
LOCK = ".lock"
SIGNATURE = "signature.txt"
"""The user's signature of the settings of a run, see `zoo.runs.trust`."""
JOB, OUTPUT = "job.json", "output.txt"
"""Record of a job of a sweep, and the output of the job."""
WANDB, FETCHED = "wandb", "fetched.txt"
"""wandb's folder, and the file in it that names the wandb run downloaded into this folder."""

CLOCK = "seen/clips"
"""X-axis of every curve: number of training clips consumed, over all ranks."""


def checkpoint_exists(path: Path) -> bool:
    """Whether there is a checkpoint: a file, or the folder of a sharded one, which is complete once it has an index."""
    return path.is_file() or (path / INDEX).is_file()


def lost_checkpoint(run: Path) -> bool:
    """Whether ``last.ckpt`` is missing although the training wrote it: it does so before its first validation round."""
    traces = (RESULTS, SAMPLES, GALLERY_VIDEO, CLIPS, OUTCOME)
    return not checkpoint_exists(run / LAST) and (
        checkpoint_exists(run / BEST) or any((run / name).exists() for name in traces)
    )


MAX_NAME = 1000
"""Largest size of the file that names a wandb run."""
MAX_PATH = 4096
"""Largest size of the file that names a folder of wandb."""
WANDB_FOLDER = re.compile(r"(?P<offline>offline-)?run-(?P<time>\d+_\d+)-(?P<id>.+)")


@dataclass(frozen=True)
class WandbRun:
    """The wandb run that a training was logged to.

    online: whether it was logged to the server directly. entity, project: "" if the folder does not name them; then the
    user's default entity and the project in the settings apply.
    """

    id: str
    online: bool
    entity: str = ""
    project: str = ""


def offline_folders(run: Path) -> list[Path]:
    """The folders in which wandb has logged parts of a run offline, oldest first.

    A file in the place of a folder holds its path: with WANDB_DIR it lies outside of the run folder.
    """
    found = sorted(run.glob(f"{WANDB}/offline-run-*"))
    return [
        path if path.is_dir() else Path(read_bounded(path, MAX_PATH).decode(errors="surrogateescape").strip())
        for path in found
    ]


def wandb_run(run: Path) -> WandbRun | None:
    """Find the wandb run of a run folder: the downloaded one, else that of wandb's newest folder; None without wandb.

    A training that started online is resumed offline if the server does not answer, so the newest folder counts.
    """
    fetched = run / WANDB / FETCHED
    if fetched.is_file():
        parts = read_bounded(fetched, MAX_NAME).decode(errors="replace").strip().split("/")
        if len(parts) != 3 or not all(part.isprintable() and part for part in parts):
            raise ZooError(
                f"{fetched} cannot be read: <entity>/<project>/<id> of a wandb run was expected. Delete {run}, and "
                "download the run again: python -m zoo.compare <entity>/<project>/<id>"
            )
        return WandbRun(parts[2], True, parts[0], parts[1])
    found = filter(None, (WANDB_FOLDER.fullmatch(path.name) for path in run.glob(f"{WANDB}/*run-*")))
    newest = max(found, key=lambda match: match["time"], default=None)
    return WandbRun(newest["id"], not newest["offline"]) if newest else None
