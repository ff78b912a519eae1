"""Check settings and archives from untrusted sources before they are used. Imports no torch."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import ZooError
from zoo.io.bounded import check_is_file

MAX_BYTES = 1 << 20
"""Largest size of a file of settings; a training writes a few thousand bytes."""
MAX_VALUES = 100_000
"""Largest number of values in settings; lists that contain each other would have no end."""
LONGEST_VALUE = 10_000
"""Letters of a value. YAML reads ``1:2:3:…`` as a number to the base 60, which takes minutes if it is a megabyte."""
LARGEST_INTEGER = 1 << 64
"""Python shows no integers of more than 4,300 digits."""
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that control a terminal."""
LONE_SURROGATES = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")
"""Halves of characters, which no text file can hold. Python's own, U+DC80 to U+DCFF, stand for bytes of a file name."""


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a page of them expands to terabytes, and no training writes any."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it contains an alias (*), and settings of a run have none")
        return super().compose_node(parent, index)

    def compose_scalar_node(self, anchor: Any) -> Any:
        node = super().compose_scalar_node(anchor)
        if len(node.value) > LONGEST_VALUE:
            raise yaml.YAMLError(f"it contains a value of {len(node.value):,} letters")
        return node


def read_settings(file: Path) -> dict[str, Any]:
    """Read the settings of a run: plain data, as a training writes them. Raises ZooError for anything else."""
    try:
        check_is_file(file)
        if file.stat().st_size > MAX_BYTES:
            raise ZooError(f"{file} cannot be read as the settings of a run: it is larger than {MAX_BYTES:,} bytes.")
        config = yaml.load(file.read_text(), _PlainLoader)  # a stricter SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise ZooError(f"{file} cannot be read as the settings of a run: {problem}") from problem
    if not isinstance(config, dict):
        raise ZooError(f"{file} cannot be read as the settings of a run: it contains no mapping of settings.")
    check_plain(config, str(file))
    return config


def check_plain(settings: Any, where: str) -> None:
    """Raise ZooError if nested settings contain anything but plain values. where: the file, for the message.

    A training resolves its settings before it writes them. ``${…}`` would be read from the machine of whoever opens
    the file, ``_target_`` names a class to call, and control characters change the terminal that shows them.
    """
    pending, checked = [settings], 0
    while pending:
        if checked + len(pending) > MAX_VALUES:
            raise ZooError(f"{where} cannot be used: it has more than {MAX_VALUES:,} values.")
        value, checked = pending.pop(), checked + 1
        if isinstance(value, Mapping):
            if code := [name for name in map(str, value) if name.startswith("_") and name.endswith("_")]:
                raise ZooError(
                    f"{where} cannot be used: `{code[0]}` names code to run, which settings of the zoo never do."
                )
            pending += [*value, *value.values()]
        elif isinstance(value, list | tuple):
            pending += value
        elif isinstance(value, str):
            if "${" in value:
                raise ZooError(f"{where} cannot be used: `{value:.80}` is an interpolation, not a plain value.")
            if found := LONE_SURROGATES.search(value):
                raise ZooError(f"{where} cannot be used: {value[:80]!r} contains {found[0]!r}, half of a character.")
            if found := CONTROL_CHARACTERS.search(value):
                raise ZooError(f"{where} cannot be used: {value[:80]!r} contains the control character {found[0]!r}.")
        elif value is not None and not isinstance(value, bool | int | float):
            raise ZooError(f"{where} cannot be used: a value of type {type(value).__name__} is not plain data.")
        elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise ZooError(f"{where} cannot be used: it has an integer of {value.bit_length()} bits.")


def check_decompressed_size(archive: Path, members: Iterable[zipfile.ZipInfo], most: int) -> None:
    """Raise ZooError if the members of an archive would decompress to more than ``most`` bytes."""
    size = sum(member.file_size for member in members)
    if size > most:
        raise ZooError(
            f"{archive} would decompress from {archive.stat().st_size:,} to {size:,} bytes, more than the limit of "
            f"{most:,}: it was not opened. Delete it, and download it again from its original page."
        )
