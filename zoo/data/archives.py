"""Zip archives that a person downloaded, unpacked beside them. Nothing is written outside the folder."""

from __future__ import annotations

import secrets
import shutil
import stat
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path, PurePosixPath, PureWindowsPath

from zoo.errors import ZooError
from zoo.io.safe_settings import check_unfolded

MOST_UNFOLDED = 200
"""Times its own size that an archive of videos and pictures may unfold to; what compresses further is made to."""


def unpack_all(root: Path) -> list[str]:
    """Unpack every zip archive that lies straight in the folder; a sentence for each."""
    return [unpack(archive) for archive in sorted(root.glob("*.zip"))]


def unpack(archive: Path) -> str:
    """Unpack one: what lies straight in it goes to a folder of its name, its folders go beside it.

    What is there already, in the same size, is left as it is. Raises ZooError, before anything is written, if a member
    is a link or would land elsewhere, or if the whole unfolds beyond reason or beyond the room on the disk.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [each for each in opened.infolist() if not each.is_dir()]
            for member in members:
                _refuse_unsafe(archive, member)
            check_unfolded(archive, members, MOST_UNFOLDED * archive.stat().st_size)
            members = [each for each in members if not _is_litter(each.filename)]
            top = archive.parent / archive.stem if any("/" not in each.filename for each in members) else archive.parent
            missing = [each for each in members if not _is_there(top / each.filename, each)]
            _refuse_unroomy(archive, missing)
            for member in missing:
                _extract(opened, member, top / member.filename)
    except (zipfile.BadZipFile, zlib.error, LZMAError, OSError, RuntimeError, EOFError, ValueError) as problem:
        raise ZooError(f"{archive} cannot be unpacked: {problem}. Is the download whole?") from problem
    return f"{archive.name}: {len(missing)} of {len(members)} files unpacked into {top}, the others were there."


def _refuse_unsafe(archive: Path, member: zipfile.ZipInfo) -> None:
    """A name that leads out of the folder, on any system, or a link."""
    name = member.filename
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or PureWindowsPath(name).root
    kind = stat.S_IFMT(member.external_attr >> 16)
    if ".." in parts or absolute or kind not in (0, stat.S_IFREG):
        what = "is a link or device" if kind not in (0, stat.S_IFREG) else "leads out of the folder"
        raise ZooError(
            f"{archive} holds `{name}`, which {what}. No archive of a data set does that: nothing was unpacked. "
            "Download it again from its own page."
        )


def _refuse_unroomy(archive: Path, missing: list[zipfile.ZipInfo]) -> None:
    needed, free = sum(each.file_size for each in missing), shutil.disk_usage(archive.parent).free
    if needed > free:
        raise ZooError(f"{archive} unfolds to {needed:,} bytes, and {free:,} are free there: nothing was unpacked.")


def _is_litter(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _is_there(path: Path, member: zipfile.ZipInfo) -> bool:
    return path.is_file() and path.stat().st_size == member.file_size


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with opened.open(member) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
