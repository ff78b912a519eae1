"""Checksums of weight files."""

from __future__ import annotations

from hashlib import file_digest
from pathlib import Path

from zoo.errors import ZooError
from zoo.io.bounded import check_is_file


def verify_sha256(path: Path, sha256: str | None) -> str:
    """Return the SHA-256 of a file in hexadecimal. Raises ZooError if it does not begin with ``sha256``."""
    check_is_file(path)
    with path.open("rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    if sha256 and not found.startswith(sha256.lower()):
        raise ZooError(
            f"{path} is not the expected file: its SHA-256 is {found}, but {sha256.lower()} was expected. Values of "
            "different weights are not comparable. Use the file with that checksum."
        )
    return found
