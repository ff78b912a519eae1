"""Sign what the zoo writes, and recognise it later: with a secret of 32 bytes in the user's own state folder.

A file that somebody else made has no valid signature, since he does not know the secret. The folder is ``ZOO_STATE``,
else ``zoo`` in ``XDG_STATE_HOME``, else ``~/.local/state/zoo``. Give all machines of a training the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import warnings
from functools import cache
from pathlib import Path

SECRET = "secret"
BYTES = 32
PROCESS_SECRET = secrets.token_bytes(BYTES)


def state_folder() -> Path:
    """The folder with the user's secret."""
    if chosen := os.environ.get("ZOO_STATE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "zoo"


def sign(purpose: str, content: bytes) -> str:
    """The user's signature of some content, in hexadecimal. purpose: what it is; one purpose is not valid for another.

    Without a usable state folder, a warning says so once, and signatures are valid in this process only.
    """
    secret = _secret(state_folder()) or PROCESS_SECRET
    return hmac.new(secret, purpose.encode() + b"\0" + content, hashlib.sha256).hexdigest()


def is_signed(purpose: str, content: bytes, signature: object) -> bool:
    """Whether the signature is the user's own."""
    return isinstance(signature, str) and hmac.compare_digest(sign(purpose, content).encode(), signature.encode())


def lasts() -> bool:
    """Whether signatures are valid in later processes."""
    return _secret(state_folder()) is not None


@cache
def _secret(folder: Path) -> bytes | None:
    """Read the secret, or make it if there is none yet; None, with a warning, if that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            return _read(folder / SECRET)
        _make(folder / SECRET)
        return _read(folder / SECRET)
    except (OSError, ValueError) as problem:
        warnings.warn(
            f"{folder / SECRET} cannot be used: {problem}. So runs and caches are not recognised as yours later. Type "
            "ZOO_STATE=<a folder of your own> before the command.",
            stacklevel=2,
        )
        return None


def _read(file: Path) -> bytes:
    """Read the secret. Raises ValueError for one that others may know or have made."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise ValueError(f"it is not a file that only you can read (chmod 600 {file})")
        content = opened.read(BYTES + 1)
    if len(content) != BYTES:
        raise ValueError(f"it has not {BYTES} bytes (rm {file})")
    return content


def _make(file: Path) -> None:
    """Make the secret, complete from the first moment: of several processes, the first one wins."""
    part = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(secrets.token_bytes(BYTES))
            out.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(part)
    finally:
        part.unlink()
