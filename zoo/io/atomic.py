"""Write files atomically: a reader sees the old file or the new one, also after a crash of the process or machine."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def partial_path(path: Path) -> Path:
    """The temporary file that ``path`` is written to before it is renamed."""
    return path.with_name(f".{path.name}.partial")


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call ``write`` with a temporary file beside ``path``, sync it to disk, and rename it to ``path``.

    A link in the place of either file is replaced, and what it leads to is left alone. Raises what ``write`` raises,
    and OSError; then an existing file is left as it was. An OSError of the file is raised also if ``write`` turns it
    into another error, as ``torch.save`` does.
    """
    temporary = partial_path(path)
    try:
        temporary.unlink(missing_ok=True)  # of a process that was killed, or a link of somebody else
        raw = _RecordingFile(temporary, "xb")
        try:
            with io.BufferedWriter(raw) as out:
                write(out)
                out.flush()
                os.fsync(out.fileno())
        except Exception as problem:
            failure = problem if isinstance(problem, OSError) else raw.failure
            if failure is None:
                raise
            raise OSError(failure.errno, failure.strerror, failure.filename or str(path)) from problem
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


class _RecordingFile(io.FileIO):
    """A file that remembers why it could not be written."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as problem:
            self.failure = problem
            raise


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
