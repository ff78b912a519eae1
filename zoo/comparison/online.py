"""Download runs from wandb: the files that a training saved there form a run folder like any other."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.io.atomic import write_text
from zoo.io.own_files import inside
from zoo.runs.files import FETCHED, RESULTS, WANDB
from zoo.runs.wandb_import import import_wandb

RUN_ID = re.compile(r"[\w.-]+/[\w.-]+/[\w.-]+")


def download_wandb_runs(runs: Sequence[str], folder: Path, api: Any = None) -> list[str]:
    """Download every ``<entity>/<project>/<id>`` that is no existing path into ``folder``.

    Returns the runs with the downloaded ones replaced by their folders. Raises ZooError if wandb does not answer, the
    run holds no run folder of the zoo, or a file of it is too large or lies outside its folder.
    """
    return [str(_fetch(run, folder, api)) if RUN_ID.fullmatch(run) and not Path(run).exists() else run for run in runs]


def _fetch(path: str, folder: Path, api: Any) -> Path:
    wandb = import_wandb()
    target = folder / path.replace("/", "-")
    try:
        stored = list((api or wandb.Api(timeout=10)).run(path).files())
        home = next((file.name.rpartition("/")[0] for file in stored if file.name.endswith(f"/{RESULTS}")), None)
        files = [file for file in stored if home and file.name.startswith(f"{home}/")]
        for file in files:
            _check_inside(file.name, target)
        _check_free_space(files, folder)
        for file in files:
            file.download(root=str(target), exist_ok=True)
    except (wandb.errors.Error, ValueError, OSError) as problem:
        raise ZooError(
            f"{path} is no folder, and wandb gave no run of that name: {problem}. Type a run folder, or log in: wandb "
            "login"
        ) from problem
    if home is None:
        raise ZooError(
            f"The wandb run {path} holds no run folder of the zoo: its training did not end, or was not the zoo's. "
            "Type a run folder, or another wandb run."
        )
    run = target / str(home)
    write_text(inside(run, WANDB, FETCHED), f"{path}\n")
    return run


def _check_free_space(files: Sequence[Any], folder: Path) -> None:
    """Raise a ZooError before the download if the files, by the sizes that the server states, exceed the free space."""
    home = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    needed, free = sum(file.size for file in files), shutil.disk_usage(home).free
    if needed > free:
        raise ZooError(
            f"The wandb run needs {needed:,} bytes, but {free:,} are free in {home}, so it was not downloaded. "
            "Free some space, or type out=<folder> on another disk."
        )


def _check_inside(name: str, target: Path) -> None:
    if not (target / name).resolve().is_relative_to(target.resolve()):
        raise ZooError(
            f"A file of the wandb run is named {name}, which lies outside of its folder, so the run was not "
            "downloaded. Compare runs of people whom you trust only."
        )
