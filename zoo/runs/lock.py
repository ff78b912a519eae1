"""Lock a run folder for one training at a time, and refuse to overwrite a run."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from zoo.cli import python_command
from zoo.errors import ZooError, joined
from zoo.runs.files import (
    CHECKPOINTS,
    CLIPS,
    COMMAND,
    CONFIG,
    CURVES,
    ENVIRONMENT,
    GALLERY_GRID,
    GALLERY_VIDEO,
    LOCK,
    METRICS,
    OUTCOME,
    RESULTS,
    SAMPLES,
    WANDB,
)

LOCK_TIMEOUT = 2.0  # seconds that a killed process may take to end
RUN_FILES = (
    *(CONFIG, COMMAND, ENVIRONMENT, METRICS, CURVES, RESULTS, OUTCOME, *CHECKPOINTS),
    *(GALLERY_VIDEO, GALLERY_GRID, SAMPLES, CLIPS, WANDB),
)
"""Everything that a training writes."""


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Create a run folder if there is none, and lock it. The lock ends with the process, however that ends.

    Raises ZooError if another process holds the lock, or the folder cannot be written.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = (run / LOCK).open("a+")
    except OSError as problem:
        raise ZooError(f"{run} cannot be written: {problem.strerror}. Try: runs=<another folder>") from problem
    with file:
        _lock(file.fileno(), run)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
        file.truncate(0)


def _lock(descriptor: int, run: Path) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            if problem.errno not in (errno.EACCES, errno.EAGAIN):
                raise ZooError(f"{run} cannot be locked: {problem.strerror}. Try: runs=<another folder>") from problem
        else:
            return
        if time.monotonic() > deadline:
            owner = (run / LOCK).read_text().strip() or "another process"
            raise ZooError(
                f"{run} is in use by {owner}. Wait for it, stop it, or use another folder: hydra.run.dir=<folder>"
            )
        time.sleep(0.2)


def clear_run_folder(run: Path, overwrite: bool) -> None:
    """Delete the run in a folder; other files stay. Raises ZooError if there is a run and ``overwrite`` is False."""
    existing = [name for name in RUN_FILES if (run / name).exists()]
    if existing and not overwrite:
        raise ZooError(
            f"{run} already contains a run: {joined(existing[:4])}. "
            f"To resume it: {python_command('zoo.train', f'resume={run}')}. "
            "To replace it: overwrite=true. Or choose another folder: hydra.run.dir=<folder>"
        )
    for name in existing:
        path = run / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
