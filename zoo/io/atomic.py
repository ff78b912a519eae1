"""Write files atomically: a reader sees the old file or the new one, also after a crash of the process or machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def partial_path(path: Path) -> Path:
    """The temporary file that ``path`` is written to before it is renamed."""
    return path.with_name(f".{path.name}.partial")


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call ``write`` with a temporary file beside ``path``, sync it to disk, and rename it to ``path``.

    A link in the place of either file is replaced, and what it leads to is left alone. Raises what ``write`` raises,
    and OSError; then an existing file is left as it was.
    """
    temporary = partial_path(path)
    try:
        temporary.unlink(missing_ok=True)  # of a process that was killed, or a link of somebody else
        with temporary.open("xb") as out:
            write(out)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8. Raises OSError."""
    write_atomically(path, lambda out: out.write(text.encode()))


def copy_atomically(source: Path, path: Path) -> None:
    """Copy a file atomically. Raises OSError."""
    with source.open("rb") as content:
        write_atomically(path, lambda out: shutil.copyfileobj(content, out))


def sync_folder(folder: Path) -> None:
    """Sync a folder to disk: afterwards a rename in it survives a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
