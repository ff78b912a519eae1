"""Unpack downloaded zip archives beside themselves. Nothing is written outside the folder."""

from __future__ import annotations

import secrets
import shutil
import stat
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path, PurePosixPath, PureWindowsPath

from zoo.errors import ZooError
from zoo.io.own_files import inside
from zoo.io.safe_settings import check_decompressed_size

MAX_EXPANSION = 200
"""Maximal ratio of unpacked to packed size. Videos and images compress far less; an archive beyond it is a zip
bomb."""


def unpack_all(root: Path) -> list[str]:
    """Unpack every zip archive directly in the folder; returns one sentence per archive."""
    return [unpack(archive) for archive in sorted(root.glob("*.zip"))]


def unpack(archive: Path) -> str:
    """Unpack one archive; returns a sentence that says what was unpacked.

    Files at the top level of the archive go to a folder with its name; folders are unpacked beside it. Existing files
    of the same size are kept. Raises ZooError, before anything is written, if a member is a link or would land outside
    the folder, or if the unpacked size exceeds the limit or the free disk space.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [each for each in opened.infolist() if not each.is_dir()]
            for member in members:
                _check_member_path(archive, member)
            check_decompressed_size(archive, members, MAX_EXPANSION * archive.stat().st_size)
            members = [each for each in members if not _is_hidden(each.filename)]
            top = archive.parent / archive.stem if any("/" not in each.filename for each in members) else archive.parent
            missing = [each for each in members if not _is_extracted(top / each.filename, each)]
            _check_disk_space(archive, missing)
            for member in missing:
                names = (*top.relative_to(archive.parent).parts, member.filename)
                _extract_member(opened, member, inside(archive.parent, *names))
    except (zipfile.BadZipFile, zlib.error, LZMAError, OSError, RuntimeError, EOFError, ValueError) as problem:
        raise ZooError(f"{archive} cannot be unpacked: {problem}. Is the download complete?") from problem
    return f"{archive.name}: {len(missing)} of {len(members)} files unpacked into {top}; the others were there already."


def _check_member_path(archive: Path, member: zipfile.ZipInfo) -> None:
    """Raise ZooError for a link, or for a name that leads out of the folder on any operating system."""
    name = member.filename
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or PureWindowsPath(name).root
    kind = stat.S_IFMT(member.external_attr >> 16)
    if ".." in parts or absolute or kind not in (0, stat.S_IFREG):
        what = "is a link or device" if kind not in (0, stat.S_IFREG) else "leads out of the folder"
        raise ZooError(
            f"{archive} contains `{name}`, which {what}, so nothing was unpacked. Archives of data sets have no "
            "such members. Download it again from its original page."
        )


def _check_disk_space(archive: Path, missing: list[zipfile.ZipInfo]) -> None:
    needed, free = sum(each.file_size for each in missing), shutil.disk_usage(archive.parent).free
    if needed > free:
        raise ZooError(
            f"{archive} needs {needed:,} bytes, but {free:,} are free on that disk, so nothing was unpacked. Free some "
            "space, or move the archive to another disk."
        )


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _is_extracted(path: Path, member: zipfile.ZipInfo) -> bool:
    return path.is_file() and path.stat().st_size == member.file_size


def _extract_member(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """Write one member to a temporary file, then rename it."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with opened.open(member) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
