"""Read one batch of clips of a data set without training: the implementation of `zoo.clips`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from torch.utils.data import default_collate

from zoo.data.base import DATA_SETS, build_set
from zoo.errors import ZooError, check_choice
from zoo.types import Clip, Split


def read_batch(settings: Mapping[str, Any], split: Split, frames: int | None, indices: Sequence[int]) -> Clip:
    """Collate the clips ``indices`` of a split to a batch, with every field that the data set provides.

    settings: those of the data set, with its ``name``. frames: length of a clip; None is the setting's default. Raises
    ZooError for an unknown data set, setting or split, and for an index beyond the last clip.
    """
    check_choice("split", split, get_args(Split))
    config = DATA_SETS.config(settings)
    config = replace(config, frames=frames or config.frames)
    clips = build_set(config, split, frozenset(config.spec().fields), seed=0)
    if not indices or min(indices) < 0 or max(indices) >= len(clips):
        requested = f"{indices[0]} to {indices[-1]}" if indices else "none"
        raise ZooError(
            f"Clips {requested} were requested, but the split `{split}` of `{config.name}` has clips 0 to "
            f"{len(clips) - 1}. Try: first=0, batch={min(len(clips), 4)}"
        )
    batch: Clip = default_collate([clips.clip(index, 0, config.frames) for index in indices])
    return batch
