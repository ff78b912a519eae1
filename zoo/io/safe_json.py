"""Read small files of JSON from a folder that may be damaged, or come from somebody else. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.io.bounded import check_is_file, parse_json

MAX_BYTES = 1 << 22
"""Largest size of a small file; a training writes a few thousand bytes."""


def read_json(file: Path, remedy: str, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read a JSON object. remedy: what to do if it cannot be read, for the error message.

    Raises ZooError for a file that cannot be read, is larger than ``max_bytes``, or holds anything but one JSON object.
    """
    check_is_file(file)
    try:
        with file.open("rb") as opened:
            data = opened.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise ValueError(f"it is larger than {max_bytes:,} bytes")
        content = parse_json(data)
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__} instead of a JSON object")
    except (OSError, ValueError) as problem:
        reason = "it is empty" if isinstance(problem, json.JSONDecodeError) and not data.strip() else problem
        raise ZooError(f"{file} cannot be read: {reason}. {remedy}") from problem
    return content
