"""Read files that may come from somebody else: only files, and no more of them than is stated."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from zoo.errors import ZooError

MOST_BYTES = 1 << 26
"""Largest size of a text file of a run, 64 MiB; a long training writes a few."""
MOST_JSON_VALUES = 2_000_000
"""Values of a JSON text. An empty list takes three bytes of it, and twenty times as many in memory."""


def read_bounded(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a whole file.

    Raises ZooError if it is larger than ``most`` bytes, holes included, or is no file but a folder, a named pipe or a
    device, for whose content a reader might wait without end. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check(path, os.fstat(descriptor), most)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise _too_large(path, len(content), most)
    return content


def read_bounded_text(path: Path, most: int = MOST_BYTES, errors: str = "strict") -> str:
    """Read a whole text file, in UTF-8, like `read_bounded`. Raises UnicodeDecodeError unless ``errors`` allows it."""
    return read_bounded(path, most).decode(errors=errors)


def read_bounded_json(path: Path, most: int = MOST_BYTES) -> Any:
    """Read a JSON file, like `read_bounded` and `parse_json`."""
    return parse_json(read_bounded(path, most))


def parse_json(text: bytes | str) -> Any:
    """Parse JSON. Raises ValueError for anything else, for a text nested too deeply, and for one of more than
    MOST_JSON_VALUES values, which is found before anything is built."""
    marks: Any = (b",", b"[", b"{") if isinstance(text, bytes) else (",", "[", "{")
    if sum(map(text.count, marks)) > MOST_JSON_VALUES:
        raise ValueError(f"it has more than {MOST_JSON_VALUES:,} values")
    try:
        return json.loads(text)
    except RecursionError as problem:
        raise ValueError("it is nested too deeply") from problem


def check_is_file(path: Path) -> None:
    """Raise ZooError if something stands there that is no file. Nothing is opened; a missing file is no matter here."""
    try:
        found = path.stat()
    except OSError:
        return
    _check(path, found, most=None)


def _check(path: Path, found: os.stat_result, most: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ZooError(f"{path} is no file, but a folder, a pipe or a device, so it was not read. Delete it.")
    if most is not None and found.st_size > most:
        raise _too_large(path, found.st_size, most)


def _too_large(path: Path, size: int, most: int) -> ZooError:
    return ZooError(
        f"{path} has {size:,} bytes, but at most {most:,} are read of such a file. Delete it, or get it again from "
        "where it came."
    )
