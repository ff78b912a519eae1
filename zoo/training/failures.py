"""What can befall a training from outside, told in a sentence: a full disk, a lost process."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import ZooError
from zoo.runs.files import LAST

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}
PLACE = re.compile(r"^\[[^\]]*\] ")  # a line of somebody's source
LOST = {
    "DataLoader worker": "A process that loads clips died: {}. It may have been short of memory; with fewer of them, "
    "data.workers=0 at least, there is more.",
    "Connection closed by peer": "Another process of this training died: {}. What it said stands above.",
    "Connection reset by peer": "Another process of this training died: {}. What it said stands above.",
}


@contextlib.contextmanager
def told(run: Path) -> Iterator[None]:
    """Raise a ZooError that says what happened and how to go on, instead of an error of the system."""
    try:
        yield
    except OSError as problem:
        if problem.errno not in DISK:
            raise
        where = problem.filename or run
        raise ZooError(f"{where} could not be written: {problem.strerror}. {how_to_go_on(run)}") from problem
    except RuntimeError as problem:
        for sign, sentence in LOST.items():
            if sign in str(problem):
                reason = PLACE.sub("", str(problem).splitlines()[0]).partition(". ")[0].rstrip(".")
                raise ZooError(f"{sentence.format(reason)} {how_to_go_on(run)}") from problem
        raise


def how_to_go_on(run: Path) -> str:
    """What is left, and what to type."""
    kept = "The last good checkpoint is whole" if (run / LAST).exists() else "Nothing was saved yet"
    return f"{kept}. Then: python -m zoo.train resume={run}"
