"""What a training's data was made of, in ``data.json`` of its run folder: a resumed training must find the same.

A record has the videos of each split by name, with the number and the bytes of their files, and their names. Times and
the place of the data do not count: data that only moved, or was copied, is the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from zoo.data.base import DataConfig, build_set
from zoo.errors import ZooError, joined
from zoo.io.atomic import write_text
from zoo.io.safe_json import read_json
from zoo.runs.files import DATA
from zoo.types import Split

Record = Mapping[str, Mapping[str, str]]
"""Split -> name of a video -> description of its files."""

RECORDED: tuple[Split, ...] = ("train", "val")
MAX_NAMES = 5
MAX_BYTES = 1 << 28


def describe_data(config: DataConfig) -> Record:
    """The record of the data as it is now; empty for a data set that reads no files."""
    sets = {split: build_set(config, split, frozenset(), seed=0).contents() for split in RECORDED}
    return {split: contents for split, contents in sets.items() if contents}


def write_record(run: Path, config: DataConfig) -> None:
    """Write the record of the data of a new training, if it reads files."""
    if record := describe_data(config):
        write_text(run / DATA, json.dumps(record, indent=0) + "\n")


def check_same_data(run: Path, config: DataConfig, accepts_change: bool) -> None:
    """Raise ZooError if the data is not that of the record, and say what differs.

    accepts_change: go on with the data as it is now, and record it. Runs without a record are from before there were
    any.
    """
    if not (run / DATA).is_file():
        return
    if accepts_change:
        write_record(run, config)
        return
    remedy = "Delete it to resume without a check of the data."
    recorded = read_json(run / DATA, remedy, MAX_BYTES)
    if not all(isinstance(each, dict) for each in recorded.values()):
        raise ZooError(f"{run / DATA} cannot be read: its splits must be JSON objects. {remedy}")
    if found := list_differences(recorded, describe_data(config)):
        raise ZooError(
            f"The data in {getattr(config, 'root', config.name)} is not that with which {run} was begun: "
            f"{'; '.join(found)}. A resumed training would see other clips. Restore the data, or accept the change: "
            "accept_changed_data=true"
        )


def list_differences(before: Record, after: Record) -> list[str]:
    """Sentences about videos that are new, missing, changed or in another split; none if all are the same."""
    splits = [{name: split for split, contents in each.items() for name in contents} for each in (before, after)]
    was, now = splits
    changed = [
        name
        for name in was.keys() & now.keys()
        if was[name] == now[name] and before[was[name]][name] != after[now[name]][name]
    ]
    kinds = {
        "videos added: {} ({})": now.keys() - was.keys(),
        "videos missing: {} ({})": was.keys() - now.keys(),
        "videos with other files or another part in their split: {} ({})": changed,
        "videos in another split: {} ({})": [name for name in was.keys() & now.keys() if was[name] != now[name]],
    }
    return [words.format(len(names), _abbreviate(sorted(names))) for words, names in kinds.items() if names]


def _abbreviate(names: list[str]) -> str:
    return joined(names[:MAX_NAMES]) + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")
