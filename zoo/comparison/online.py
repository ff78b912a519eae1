"""Runs of wandb as run folders: what a training saved there is fetched, and then it is a run like any other."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.runs.files import FETCHED, RESULTS, WANDB

RUN_ID = re.compile(r"[\w.-]+/[\w.-]+/[\w.-]+")


def fetched(words: Sequence[str], folder: Path, api: Any = None) -> list[str]:
    """The words with every ``<entity>/<project>/<id>`` that is no path here fetched into ``folder``."""
    return [
        str(_fetch(word, folder, api)) if RUN_ID.fullmatch(word) and not Path(word).exists() else word for word in words
    ]


def _fetch(path: str, folder: Path, api: Any) -> Path:
    import wandb

    target = folder / path.replace("/", "-")
    try:
        there = list((api or wandb.Api(timeout=10)).run(path).files())
        home = next((file.name.rpartition("/")[0] for file in there if file.name.endswith(f"/{RESULTS}")), None)
        files = [file for file in there if home and file.name.startswith(f"{home}/")]
        for file in files:
            _check_inside(file.name, target)
        _check_room(files, folder)
        for file in files:
            file.download(root=str(target), exist_ok=True)
    except (wandb.errors.Error, ValueError, OSError) as problem:
        raise ZooError(
            f"{path} is no folder here, and wandb could not be asked for a run of that name: {problem}. "
            "Type a run folder, or log in: wandb login"
        ) from problem
    if home is None:
        raise ZooError(
            f"The wandb run {path} holds no run folder of the zoo. Its training did not end, or was another's."
        )
    run = target / str(home)
    (run / WANDB).mkdir(exist_ok=True)
    (run / WANDB / FETCHED).write_text(f"{path}\n")
    return run


def _check_room(files: Sequence[Any], folder: Path) -> None:
    """Sizes are the server's; nothing is fetched where they are more than there is room for."""
    home = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    needed, free = sum(file.size for file in files), shutil.disk_usage(home).free
    if needed > free:
        raise ZooError(f"The wandb run takes {needed:,} bytes, and {free:,} are free in {home}. It is not fetched.")


def _check_inside(name: str, target: Path) -> None:
    if not (target / name).resolve().is_relative_to(target.resolve()):
        raise ZooError(f"A file of the wandb run is named {name}, which lies outside of its folder. It is not fetched.")
