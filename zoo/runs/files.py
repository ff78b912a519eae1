"""The files of a run folder, by name: who writes them and who reads them must agree. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CONFIG, COMMAND, ENVIRONMENT = "config.yaml", "command.txt", "environment.json"
LAST, BEST = "last.ckpt", "best.ckpt"
CHECKPOINTS = (LAST, BEST)
"""In the order in which a run is loaded from them."""
RESULTS = "results.jsonl"
METRICS = "metrics.csv"
OUTCOME = "outcome.json"
CLIPS, INDEX = "clips", "index.json"
"""The folder that holds the newest round of evaluation clips, a folder a clip, and the file in it that says which is
which: clip key -> kind -> film."""
FILM_KINDS = ("given", "real", "generated")
"""The films of a clip. Not every model is given something that can be shown."""
SAMPLES = "samples"
"""The folder of samples: those of each round of evaluation, and those of `zoo.sample`."""
GALLERY_VIDEO, GALLERY_GRID, CURVES = "gallery.mp4", "gallery.png", "curves.png"
LOCK = ".lock"
JOB, OUTPUT = "job.json", "output.txt"
"""What a sweep notes of a job, and what the job printed."""
WANDB, FETCHED = "wandb", "fetched.txt"
"""wandb's own folder; and the file in it that says which run of wandb was fetched into this folder."""

CLOCK = "seen/clips"
"""The axis of every curve: training clips consumed over all ranks."""

WANDB_FOLDER = re.compile(r"(?P<offline>offline-)?run-(?P<time>\d+_\d+)-(?P<id>.+)")


@dataclass(frozen=True)
class WandbRun:
    """The run of wandb that a training was logged to. online: whether it went there by itself. entity, project: ""
    where the folder does not say: the user's own, and that of the run's settings."""

    id: str
    online: bool
    entity: str = ""
    project: str = ""


def wandb_run(run: Path) -> WandbRun | None:
    """By the name of the newest folder that wandb has left, since a training that began online goes on offline where no
    server answers; or that which was fetched. None where wandb was off."""
    fetched = run / WANDB / FETCHED
    if fetched.is_file():
        entity, project, name = fetched.read_text().strip().split("/")
        return WandbRun(name, True, entity, project)
    found = filter(None, (WANDB_FOLDER.fullmatch(path.name) for path in run.glob(f"{WANDB}/*run-*")))
    newest = max(found, key=lambda match: match["time"], default=None)
    return WandbRun(newest["id"], not newest["offline"]) if newest else None
