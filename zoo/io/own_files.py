"""Open and name files in a folder that may come from somebody else, such as a run folder: nothing is written through a
link.

The folder itself may be a link, since the user typed it. Below it, no link is followed, whether it stands in the place
of a file or of a folder. A new file is written under another name and renamed (`zoo.io.atomic`), which replaces a link
and leaves alone what it leads to. A file that other folders share as a hard link is copied before it is changed.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from zoo.errors import ZooError, joined
from zoo.io.atomic import copy_atomically


def inside(folder: Path, *names: str) -> Path:
    """The path of a file inside a folder; the folders between the two are created.

    Raises ZooError if the names lead out of the folder, or if a link stands in the place of a folder between the two.
    The file itself may be a link: `write_atomically` replaces it, and `open_to_append` refuses it.
    """
    relative = Path(*names)
    if relative.is_absolute() or ".." in relative.parts:
        raise ZooError(f"{folder / relative} is outside of {folder}, so it is not written.")
    return make_folder(folder, *relative.parts[:-1]) / relative.name


def make_folder(folder: Path, *names: str) -> Path:
    """Create a folder inside a folder. Raises ZooError if a link stands in its place or between the two."""
    for name in names:
        refuse_links(folder, [name])
        folder /= name
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def check_writable(folder: Path, setting: str) -> None:
    """Create a folder if there is none, and raise ZooError unless files can be written into it.

    setting: the one that names the folder, such as `out`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        raise ZooError(
            f"{setting}={folder} cannot be written: {problem.strerror}. It must be a folder. Type another one: "
            f"{setting}=<folder>"
        ) from problem


def refuse_links(folder: Path, names: Iterable[str]) -> None:
    """Raise ZooError, naming all of them, if any of these entries of a folder is a link."""
    links = [name for name in names if (folder / name).is_symlink()]
    if links:
        raise _refuse_link(*(folder / name for name in links))


def _refuse_link(*links: Path) -> ZooError:
    """The error for links, each with what it leads to."""
    shown = joined(f"{link} -> {link.readlink()}" for link in links[:4])
    return ZooError(
        f"{shown}: nothing is written through a link, since a folder from somebody else may lead to any file of yours. "
        f"Delete the link, or put what it leads to in its place: rm {shlex.quote(str(links[0]))}"
    )


def open_to_append(path: Path) -> BinaryIO:
    """Open a file for reading and appending; it is created if there is none.

    Raises ZooError if a link, a named pipe or anything else but a file stands there, and OSError.
    """
    _break_hard_link(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if path.is_symlink():
        raise _refuse_link(path)
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ZooError(f"{path} is no file, so nothing is written to it. Delete it: rm {shlex.quote(str(path))}")
    return os.fdopen(descriptor, "ab+")


def _break_hard_link(path: Path) -> None:
    """Replace a file that has several names by a copy of its own, so that the others stay as they are."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        copy_atomically(path, path)
