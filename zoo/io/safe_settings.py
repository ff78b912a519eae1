"""Settings and archives that somebody else may have made: what is refused before it is used. Imports no torch."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import ZooError

MOST_BYTES = 1 << 20
"""Of a file of settings; those of a training have a few thousand."""
MOST_VALUES = 100_000
"""In settings: a few lists that hold each other would have no end."""
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that steer a terminal, and are no text."""


class _PlainLoader(yaml.SafeLoader):
    """YAML without references: a page of them unfolds to terabytes, and no training writes one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it refers to itself (*), which settings of a run do not")
        return super().compose_node(parent, index)


def read_settings(file: Path) -> dict[str, Any]:
    """The settings of a run, as a training writes them: plain data. A ZooError for anything else."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ZooError(f"{file} cannot be read as the settings of a run: it is larger than {MOST_BYTES:,} bytes.")
        config = yaml.load(file.read_text(), _PlainLoader)  # a SafeLoader, and stricter
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise ZooError(f"{file} cannot be read as the settings of a run: {problem}") from problem
    if not isinstance(config, dict):
        raise ZooError(f"{file} cannot be read as the settings of a run: it holds none.")
    check_plain(config, str(file))
    return config


def check_plain(settings: Any, where: str) -> None:
    """A ZooError for anything in nested settings that is no plain value, or that would steer what reads it.

    A training writes its settings with everything resolved: ``${…}`` would be read from the machine of whoever opens
    them, and ``_target_`` names a class to call.
    """
    waiting = [settings]
    for _ in range(MOST_VALUES):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, Mapping):
            if code := [name for name in map(str, value) if name.startswith("_") and name.endswith("_")]:
                raise ZooError(f"{where} cannot be used: `{code[0]}` names code to run; settings of the zoo name none.")
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, str):
            if "${" in value:
                raise ZooError(f"{where} cannot be used: `{value:.80}` is to be looked up; a run holds plain values.")
            if found := STEERING.search(value):
                raise ZooError(f"{where} cannot be used: {value[:80]!r} holds {found[0]!r}, which is no text.")
        elif value is not None and not isinstance(value, bool | int | float):
            raise ZooError(f"{where} cannot be used: {type(value).__name__} is no plain value.")
    raise ZooError(f"{where} cannot be used: there are more than {MOST_VALUES:,} values.")


def check_unfolded(archive: Path, members: Iterable[zipfile.ZipInfo], most: int) -> None:
    """A ZooError for an archive that would unfold to more bytes than that."""
    unfolded = sum(member.file_size for member in members)
    if unfolded > most:
        raise ZooError(
            f"{archive} would unfold from {archive.stat().st_size:,} to {unfolded:,} bytes, and no honest one does: it "
            "was not opened. Delete it, and download it again from its own page."
        )
