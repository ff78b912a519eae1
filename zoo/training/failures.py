"""Turn external failures of a training, such as a full disk or a lost process, into error messages."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing.connection
import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

from zoo.cli import python_command
from zoo.errors import FULL_DISK, ZooError
from zoo.runs.files import LAST, checkpoint_exists

DISK_ERRORS = FULL_DISK | {errno.EACCES, errno.EPERM, errno.EIO}
SOURCE_LINE = re.compile(r"^\[[^\]]*\] ")  # such as [/pytorch/gloo/pair.cc:561]
LOST_LOADER = (
    "A data loading process died: {}. It may have run out of memory; fewer processes need less. Try: data.workers=0."
)
LOST_PROCESSES = {
    "DataLoader worker": LOST_LOADER,
    "DataLoader timed out": (
        "No batch came from the data loading processes: {}. One may hang on a slow or lost disk. Try: data.workers=0."
    ),
    "Connection closed by peer": "Another process of this training died: {}. Its own error message is above.",
    "Connection reset by peer": "Another process of this training died: {}. Its own error message is above.",
}


@contextlib.contextmanager
def explain_failures(run: Path) -> Iterator[None]:
    """Context that raises a ZooError with the cause and how to resume, in place of an operating-system error."""
    try:
        yield
    except ConnectionError as problem:  # the loader died while a batch was being received
        raise ZooError(f"{LOST_LOADER.format(problem.strerror or problem)} {resume_hint(run)}") from problem
    except EOFError as problem:
        if not _comes_from_a_connection(problem):
            raise
        raise ZooError(f"{LOST_LOADER.format('the end of its connection was reached')} {resume_hint(run)}") from problem
    except OSError as problem:
        if problem.errno not in DISK_ERRORS:
            raise
        where = problem.filename or run
        done = "written" if problem.errno in FULL_DISK or run in Path(os.fsdecode(where)).parents else "read or written"
        raise ZooError(f"{where} could not be {done}: {problem.strerror}. {resume_hint(run)}") from problem
    except RuntimeError as problem:
        for sign, sentence in LOST_PROCESSES.items():
            if sign in str(problem):
                reason = SOURCE_LINE.sub("", str(problem).splitlines()[0]).partition(". ")[0].rstrip(".")
                raise ZooError(f"{sentence.format(reason)} {resume_hint(run)}") from problem
        raise


def _comes_from_a_connection(problem: EOFError) -> bool:
    """Whether another process closed its end of a connection; reading a file that was cut off gives the same error."""
    last = traceback.extract_tb(problem.__traceback__)[-1]
    return last.filename == multiprocessing.connection.__file__


def resume_hint(run: Path) -> str:
    """State whether a checkpoint was saved, and the command that resumes the training."""
    saved = "The last checkpoint is intact" if checkpoint_exists(run / LAST) else "No checkpoint was saved yet"
    return f"{saved}. When this is fixed, resume: {python_command('zoo.train', f'resume={run}')}"
