"""Files of weights: which one is meant, and whether it is that one."""

from __future__ import annotations

from hashlib import file_digest
from pathlib import Path

from zoo.errors import ZooError


def checked(path: Path, sha256: str | None) -> str:
    """The SHA-256 of a file in hexadecimal; a ZooError where it does not begin with ``sha256``."""
    with path.open("rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    if sha256 and not found.startswith(sha256.lower()):
        raise ZooError(
            f"{path} is another file than expected: its SHA-256 is {found}, and {sha256.lower()} was asked for. "
            "Numbers of different weights cannot be compared."
        )
    return found
