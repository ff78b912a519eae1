"""Files that are there as a whole or not at all, also when the process or the machine dies while they are written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def partial(path: Path) -> Path:
    """Where the file ``path`` stands while it is being written."""
    return path.with_name(f".{path.name}.partial")


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """``write`` into a file beside ``path``, wait until the disk has it, and give it its name in one step.

    Raises what ``write`` raises, and OSError; the file that was there before is untouched then.
    """
    beside = partial(path)
    try:
        with beside.open("wb") as out:
            write(out)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """A text file, whole."""
    write_atomically(path, lambda out: out.write(text.encode()))


def sync_folder(folder: Path) -> None:
    """Wait until the disk knows the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
