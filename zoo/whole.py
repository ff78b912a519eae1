"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a text file beside ``path``, wait until the disk has it, and give it its name in one step."""
    beside = path.with_name(f".{path.name}.partial")
    with beside.open("w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)
