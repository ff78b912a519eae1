"""What is checked of the settings of footage, and the sentences when they are wrong. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.data.sequences.config import KEPT, FootageConfig, SequenceConfig
from zoo.errors import ZooError, nearest, one_of

FLOWS = ("none", "dis", "raft_small", "raft_large")


def check_footage(config: FootageConfig) -> None:
    """Raise ZooError unless the settings that all footage shares make sense."""
    one_of("data.flow", config.flow, FLOWS)
    one_of("data.cache", config.cache, KEPT)
    for setting in ("frames", "height", "fps"):
        if getattr(config, setting) <= 0:
            raise ZooError(f"data.{setting}={getattr(config, setting)} must be more than 0.")
    if config.flow_weights is not None and not Path(config.flow_weights).is_file():
        raise ZooError(f"data.flow_weights={config.flow_weights}: there is no such file.")
    if not 0 < config.val_share < 1:
        raise ZooError(f"data.val_share={config.val_share} is not a share between 0 and 1. Type data.val_share=0.2.")
    if isinstance(config, SequenceConfig) and config.max_step < 1:
        raise ZooError(
            f"data.max_step={config.max_step} is no spacing of frames. Type data.max_step=1 for consecutive ones."
        )


def existing_root(config: FootageConfig, what: str, takes: str) -> Path:
    """The root as a folder. ``what`` is in it, such as the videos; ``takes`` says how."""
    typed = config.root
    if not typed:
        raise ZooError(f"data={config.name} needs to know where {what} are: type data.root=<folder>. It takes {takes}.")
    root = Path(typed).expanduser()
    if root.is_file():
        raise ZooError(f"data.root={typed} is a file. Type the folder it is in: data.root={root.parent}.")
    if not root.is_dir():
        beside = [path.name for path in root.parent.glob("*") if path.is_dir()]
        raise ZooError(f"data.root={typed}: there is no such folder.{nearest(root.name, beside)}")
    return root


def class_names(asked_by: str, names: Sequence[str], count: int | None) -> tuple[str, ...]:
    """Names of the classes, by id; numbers where only a count is given.

    ``asked_by`` is the setting that needs them, for the sentence when there are none or two that disagree.
    """
    if not names and not count:
        raise ZooError(
            f"{asked_by} needs the number of classes: type data.label_count=<number>, "
            "or data.label_names=[sky,road,...] in the order of their ids."
        )
    if names and count not in (None, len(names)):
        raise ZooError(
            f"data.label_count={count}, but data.label_names has {len(names)} names. Leave one of the two out."
        )
    return tuple(names) or tuple(str(label) for label in range(count or 0))


def foreground_names(words: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """``data.foreground``, whose words are names or ids of classes, as names in the order of their ids."""
    chosen = set()
    for word in words:
        if word in names:
            chosen.add(word)
        elif word.isdecimal() and int(word) < len(names):
            chosen.add(names[int(word)])
        else:
            raise ZooError(
                f"data.foreground={word} is none of the {len(names)} classes, by name or by id from 0 to "
                f"{len(names) - 1}.{nearest(word, names)}"
            )
    return tuple(name for name in names if name in chosen)
