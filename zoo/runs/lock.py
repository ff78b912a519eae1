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
from zoo.io.bounded import read_bounded_text
from zoo.io.own_files import open_to_append, refuse_links
from zoo.runs.files import (
    CHECKPOINTS,
    CLIPS,
    COMMAND,
    CONFIG,
    CURVES,
    DATA,
    ENVIRONMENT,
    FRAME_CURVES,
    GALLERY_GRID,
    GALLERY_VIDEO,
    LOCK,
    METRICS,
    OUTCOME,
    RESULTS,
    SAMPLES,
    SIGNATURE,
    WANDB,
)

LOCK_TIMEOUT = 2.0  # seconds that a killed process may take to end
RUN_FILES = (
    *(CONFIG, COMMAND, ENVIRONMENT, DATA, METRICS, CURVES, RESULTS, OUTCOME, *CHECKPOINTS),
    *(GALLERY_VIDEO, GALLERY_GRID, SAMPLES, CLIPS, WANDB, SIGNATURE),
)
"""Everything that a training writes."""
WRITTEN = (*RUN_FILES, LOCK, FRAME_CURVES)
"""Everything that any command writes into a run folder."""
BEGUN = (COMMAND, ENVIRONMENT)
"""What a training writes before its settings."""


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Create a run folder if there is none, and lock it. The lock ends with the process, however that ends.

    Raises ZooError if another process holds the lock, or the folder cannot be written, or a link stands in the place of
    a file or folder that a training writes.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        refuse_links_of_run(run)
        file = open_to_append(run / LOCK)
    except OSError as problem:
        raise ZooError(f"{run} cannot be written: {problem.strerror}. Try: runs=<another folder>") from problem
    with file:
        _lock(file.fileno(), run)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        file.flush()
        yield
        file.truncate(0)


def refuse_links_of_run(run: Path) -> None:
    """Raise ZooError if a link stands in the place of anything that a command writes into this run folder."""
    films = [path for folder in (CLIPS, SAMPLES) for path in (run / folder).glob("**/*")]
    refuse_links(run, [*WRITTEN, *(str(path.relative_to(run)) for path in films)])


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
            owner = read_bounded_text(run / LOCK, 1000, errors="replace").strip() or "another process"
            raise ZooError(
                f"{run} is in use by {owner}. Wait for it, stop it, or use another folder: hydra.run.dir=<folder>"
            )
        time.sleep(0.2)


def clear_run_folder(run: Path, overwrite: bool) -> None:
    """Delete the run in a folder; other files stay. Raises ZooError if there is a run and ``overwrite`` is False.

    A folder with nothing but BEGUN holds no run: the training was killed before it had written its settings.
    """
    existing = [name for name in RUN_FILES if os.path.lexists(run / name)]
    if not overwrite and not set(existing) <= set(BEGUN):
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
