"""A run folder belongs to one training at a time, and nothing in it is overwritten unless that is asked for."""

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

from zoo.errors import ZooError, listed
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

PATIENCE = 2.0  # seconds that a process may take to die
OF_A_RUN = (
    *(CONFIG, COMMAND, ENVIRONMENT, METRICS, CURVES, RESULTS, OUTCOME, *CHECKPOINTS),
    *(GALLERY_VIDEO, GALLERY_GRID, SAMPLES, CLIPS, WANDB),
)
"""What a training writes."""


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold a run folder, made where there is none; raises a ZooError while another process has it.

    The operating system gives it back when the process ends, however it ends.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = (run / LOCK).open("a+")
    except OSError as problem:
        raise ZooError(f"Nothing can be written to {run}: {problem.strerror}. Try: runs=<another folder>") from problem
    with file:
        _lock(file.fileno(), run)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
        file.truncate(0)


def _lock(descriptor: int, run: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            if problem.errno not in (errno.EACCES, errno.EAGAIN):
                raise ZooError(f"{run} cannot be locked: {problem.strerror}. Try: runs=<another folder>") from problem
        else:
            return
        if time.monotonic() > until:
            owner = (run / LOCK).read_text().strip() or "another process"
            raise ZooError(
                f"{run} is being trained in by {owner}. Wait for it, stop it, or train into another folder: "
                "hydra.run.dir=<folder>"
            )
        time.sleep(0.2)


def clear_run_folder(run: Path, overwrite: bool) -> None:
    """Refuse a folder that holds a run, or take that away if ``overwrite``; files of others stay."""
    there = [name for name in OF_A_RUN if (run / name).exists()]
    if there and not overwrite:
        raise ZooError(
            f"{run} holds a run already: {listed(there[:4])}. To go on with it: python -m zoo.train resume={run}. "
            "To put another in its place: overwrite=true. Or choose another folder: hydra.run.dir=<folder>"
        )
    for name in there:
        path = run / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
