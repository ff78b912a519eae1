"""Checks of the settings of data sets that read files, and their error messages. Imports no torch."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from zoo.data.sequences.config import CACHE_CHOICES, FootageConfig
from zoo.errors import ZooError, check_choice, suggest

FLOWS = ("none", "dis", "raft_small", "raft_large")


def check_settings(config: FootageConfig) -> None:
    """Raise ZooError unless the settings that these data sets share are valid."""
    check_choice("data.flow", config.flow, FLOWS)
    check_choice("data.cache", config.cache, CACHE_CHOICES)
    if config.flow_weights is not None and not Path(config.flow_weights).is_file():
        raise ZooError(
            f"data.flow_weights={config.flow_weights}: there is no such file. Leave it out to use torch's cache."
        )
    if config.test_share >= 1 - config.val_share:
        raise ZooError(
            f"data.test_share={config.test_share} must be below 1 - data.val_share, which is "
            f"{1 - config.val_share:g}: something must be left for training. Try: data.test_share=0.1"
        )


def require_root(config: FootageConfig, contents: str, layout: str) -> Path:
    """Return the root folder. contents: what it contains, such as the videos; layout: how, for the error message.
    Raises ZooError."""
    typed = config.root
    if not typed:
        raise ZooError(
            f"data={config.name} needs the folder with {contents}: type data.root=<folder>. It takes {layout}."
        )
    root = Path(typed).expanduser()
    if root.is_file():
        raise ZooError(f"data.root={typed} is a file. Type its folder: {shlex.quote(f'data.root={root.parent}')}")
    if not root.is_dir():
        beside = [path.name for path in root.parent.glob("*") if path.is_dir()]
        raise ZooError(f"data.root={typed}: there is no such folder.{suggest(root.name, beside)}")
    return root


def resolve_class_names(setting: str, names: Sequence[str], count: int | None) -> tuple[str, ...]:
    """Return the names of the classes by id; numbers if only a count is given.

    setting: the setting that needs them, for the error message. Raises ZooError if both are missing or do not agree.
    """
    if not names and not count:
        raise ZooError(
            f"{setting} needs the number of classes: type data.label_count=<number>, "
            "or data.label_names=[sky,road,...] in the order of their ids."
        )
    if names and count not in (None, len(names)):
        raise ZooError(
            f"data.label_count={count}, but data.label_names has {len(names)} names. Leave one of the two out."
        )
    return tuple(names) or tuple(str(label) for label in range(count or 0))


def resolve_foreground(foreground: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return ``data.foreground``, given as names or ids, as names in the order of their ids. Raises ZooError for
    others."""
    chosen = set()
    for word in foreground:
        if word in names:
            chosen.add(word)
        elif word.isdecimal() and int(word) < len(names):
            chosen.add(names[int(word)])
        else:
            raise ZooError(
                f"data.foreground={word} is neither the name of one of the {len(names)} classes nor an id from 0 to "
                f"{len(names) - 1}.{suggest(word, names)}"
            )
    return tuple(name for name in names if name in chosen)
