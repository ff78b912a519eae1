"""Split footage into training, validation and test: by video, or by time if there is a single video.

Test clips are taken from what would be for training, so validation clips do not depend on how many there are.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from zoo.data.sequences.config import FootageConfig
from zoo.data.sequences.footage import Footage
from zoo.data.sequences.sources import source_of
from zoo.errors import ZooError
from zoo.types import Split


@dataclass(frozen=True)
class Segment:
    """Frames ``first`` to ``stop`` (exclusive) of a video; clips are taken from it."""

    footage: Footage
    first: int
    stop: int

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.stop - self.first


def split_footage(
    footage: list[Footage], split: Split, config: FootageConfig, splits: Mapping[str, Split]
) -> list[Segment]:
    """Return the segments of one split; ``splits`` are those of the videos by name, which a single video does not have.

    Raises ZooError if there are none, or a single video is too short for all.
    """
    if len(footage) == 1:
        return [_split_in_time(footage[0], split, config)]
    segments = [Segment(each, 0, each.video.length) for each in footage if splits[each.video.name] == split]
    if not segments:
        raise explain_no_test(config)
    return segments


def assign_splits(names: Sequence[str], val_share: float, test_share: float) -> dict[str, Split]:
    """Assign a split to each name, by its checksum, so that one more video moves few others between the splits.

    A share above 0 takes at least one name, unless none were left for training.
    """
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    val = _count(val_share, len(names), len(names) - 1)
    test = _count(test_share, len(names), len(names) - val - 1)
    splits: dict[str, Split] = dict.fromkeys(names, "train")
    return splits | dict.fromkeys(ordered[:val], "val") | dict.fromkeys(ordered[len(names) - test :], "test")


def split_by_source(
    names: Sequence[str], val_share: float, test_share: float, copies: Mapping[str, str] | None = None
) -> dict[str, Split]:
    """Assign a split to each name, see `assign_splits`, with names of one source in one split; if all have one source,
    each by itself. copies: names of videos with the content of an earlier one -> that one."""
    sources = {name: source_of((copies or {}).get(name, name)) for name in names}
    if len(set(sources.values())) == 1:
        return assign_splits(names, val_share, test_share)
    splits = assign_splits(list(dict.fromkeys(sources.values())), val_share, test_share)
    return {name: splits[source] for name, source in sources.items()}


def split_groups(groups: Mapping[str, Sequence[str]], val_share: float, test_share: float) -> dict[str, Split]:
    """Assign a split to each name in ``groups``, such as classes: shares of every group are for validation and test.

    A name in two groups gets one split. A share above 0 takes at least one name of a group, unless none were left for
    training.
    """
    splits: dict[str, Split] = {}
    for group in groups.values():
        free = [name for name in group if name not in splits]
        if len(free) == len(group):
            splits |= assign_splits(group, val_share, test_share)
            continue
        wanted = Counter(assign_splits(group, val_share, test_share).values())
        wanted.subtract(splits[name] for name in group if name in splits)
        ordered = sorted(free, key=lambda name: hashlib.sha256(name.encode()).digest())
        val = min(max(wanted["val"], 0), len(ordered))
        test = min(max(wanted["test"], 0), len(ordered) - val)
        for split, chosen in (("train", ordered), ("val", ordered[:val]), ("test", ordered[len(ordered) - test :])):
            splits |= dict.fromkeys(chosen, cast(Split, split))
    return splits


def _count(share: float, total: int, most: int) -> int:
    return max(0, min(max(1, round(share * total)), most)) if share else 0


def split_part(footage: Footage, stored: int, split: Split, val_share: float, test_share: float) -> Segment:
    """Split the ``stored`` frames of a video in time: training, then the share for test, then that for validation."""
    test, val = (
        int((footage.stored < round(stored * (1 - held_out))).sum()) for held_out in (val_share + test_share, val_share)
    )
    bounds = {"train": (0, test), "test": (test, val), "val": (val, footage.video.length)}
    return Segment(footage, *bounds[split])


def explain_no_test(config: FootageConfig, advice: str = "") -> ZooError:
    """Build the error for a data set without test clips. advice: more about the data set."""
    reason = "its videos are too few" if config.test_share else "all its clips are for training or validation"
    share = max(0.1, min(2 * config.test_share, 0.4))
    return ZooError(
        f"data={config.name} with data.test_share={config.test_share:g} has no test split: {reason}. {advice}Train "
        f"with data.test_share={share:g}, which leaves validation clips as they are, or type split=val."
    )


def _split_in_time(footage: Footage, split: Split, config: FootageConfig) -> Segment:
    """Split one video in time: training, test if there is any, validation.

    Boundaries lie between two stored frames, so a frame that is repeated to reach a higher rate is on one side only.
    """
    length, frames = footage.video.length, config.frames
    boundary = _boundary(footage, min(length - frames, round(length * (1 - config.val_share))))
    test = _boundary(footage, boundary - round(length * config.test_share)) if config.test_share else boundary
    if split == "test" and boundary - test < frames:
        if not config.test_share:
            raise explain_no_test(config)
        raise ZooError(
            f"{footage.video.path} is the only usable video, and data.test_share={config.test_share:g} of its {length} "
            f"frames is less than a clip of {frames}. Add a video, or train with data.test_share="
            f"{min(0.4, frames / length + 0.01):.2f}."
        )
    if test < frames:
        raise ZooError(
            f"{footage.video.path} is the only usable video, and its {length} frames at data.fps={footage.fps:g} are "
            f"too few for a training clip and a validation clip of data.frames={frames}. Add a video, or type "
            f"data.frames={max(1, length // 3)}."
        )
    bounds = {"train": (0, test), "test": (test, boundary), "val": (boundary, length)}
    return Segment(footage, *bounds[split])


def _boundary(footage: Footage, wanted: int) -> int:
    """Number of the first frame that shows another stored frame than all before ``wanted``."""
    return int((footage.stored < footage.stored[max(wanted, 0)]).sum())
