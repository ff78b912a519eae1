"""Record how much each part of a checkpoint holds, so that a checkpoint that lost something is noticed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import ZooError, joined

CONTENTS = "contents"
"""Entry of a checkpoint with the size of each other entry, as `count_values` counts it."""
MOST_VALUES = 2_000_000
"""Values of a part that are counted at most: containers that hold each other have no end."""


def with_contents(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint with the record of its contents."""
    plain = {part: value for part, value in checkpoint.items() if part != CONTENTS}
    return {**plain, CONTENTS: {part: count_values(value) for part, value in plain.items()}}


def check_contents(file: Path, checkpoint: Mapping[str, Any]) -> None:
    """Raise ZooError unless each part of a checkpoint has as many values as when it was written.

    Nothing is checked in checkpoints without a record, such as converted weights.
    """
    recorded = checkpoint.get(CONTENTS)
    if recorded is None:
        return
    if not isinstance(recorded, Mapping):
        raise ZooError(f"{file} is damaged: its record of contents is no mapping of names to numbers.")
    found = {part: count_values(value) for part, value in checkpoint.items() if part != CONTENTS}
    differing = [
        f"`{part}` has {found.get(part, 0)} values of the {recorded.get(part, 0)} that were written"
        for part in {**recorded, **found}
        if recorded.get(part) != found.get(part)
    ]
    if differing:
        raise ZooError(f"{file} is not what the training wrote: {joined(differing[:3])}.")


def count_values(value: Any) -> int:
    """Count the values in nested dicts and lists, containers included; a tensor counts as one value."""
    pending, count = [value], 0
    while pending:
        if count + len(pending) >= MOST_VALUES:
            return MOST_VALUES
        each = pending.pop()
        count += 1
        if isinstance(each, Mapping):
            pending += each.values()
        elif isinstance(each, list | tuple):
            pending += each
    return count
