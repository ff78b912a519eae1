"""Find the videos in each class's folder and assign them to splits. Imports no torch."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli import python_command
from zoo.data.sequences import sources
from zoo.data.sequences.cache import ArrayCache, cache_folder
from zoo.data.sequences.checks import check_settings, require_root
from zoo.data.sequences.copies import describe_copies
from zoo.data.sequences.find import find_videos
from zoo.data.sequences.footage import Footage
from zoo.data.sequences.labelled import abbreviate, build_labelled_spec, open_labelled_catalogue
from zoo.data.sequences.split import Segment, explain_no_test, split_groups
from zoo.data.sets.classes.lists import read_lists
from zoo.data.sets.classes.names import LAYOUT
from zoo.data.sets.folder.catalogue import Catalogue
from zoo.data.sets.folder.footage import FolderVideo
from zoo.errors import ZooError, check_choice
from zoo.types import ClipSpec, Split

if TYPE_CHECKING:
    from zoo.data.sets.classes.config import ClassesConfig

CLIP_SUFFIX = re.compile(r"_c\d+$")
"""Suffix that distinguishes the clips that were taken from one source video, as in UCF-101."""


@dataclass(frozen=True)
class Classes:
    """The classes under a root. names: of the classes, by id. splits: by video name; a video in no list has none."""

    config: ClassesConfig
    catalogue: Catalogue
    names: tuple[str, ...]
    splits: dict[str, Split]
    spec: ClipSpec
    sentences: tuple[str, ...]

    def videos_for(self, split: Split) -> list[FolderVideo]:
        """Return the usable videos of a split. Raises ZooError if there are none."""
        videos = [video for video in self.catalogue.videos if self.splits.get(video.name) == split]
        if not videos and split == "test" and not self.config.test_list:
            raise explain_no_test(self.config, "With a list of test videos, train with data.test_list=<file>. Else: ")
        if not videos:
            raise ZooError(self._explain_empty(split))
        return videos

    def segments(self, split: Split) -> list[Segment]:
        """Return the videos of a split as whole segments."""
        size, cache = (self.spec.height, self.spec.width), ArrayCache(cache_folder(self.catalogue.root))
        footage = [Footage(video, *size, self.spec.fps, cache, self.config.cached) for video in self.videos_for(split)]
        return [Segment(each, 0, each.video.length) for each in footage]

    def class_of(self, video: str) -> int:
        """Id of a video's class."""
        return self.names.index(class_of_path(video))

    def notes(self, split: Split) -> list[str]:
        """Messages to show once: what is skipped, and the classes without a video in this split."""
        there = {class_of_path(video.name) for video in self.videos_for(split)}
        missing = [name for name in self.names if name not in there]
        skipped = self.catalogue.skipped
        notes = [*self.sentences]
        if skipped:
            notes.append(f"{len(skipped)} videos are skipped, {len(self.catalogue.videos)} are used: {skipped[0]}")
        if missing:
            notes.append(
                f"`{split}` has no video of {len(missing)} of the {len(self.names)} classes: {abbreviate(missing)}."
            )
        return notes

    def _explain_empty(self, split: Split) -> str:
        config = self.config
        if config.train_list or config.val_list or config.test_list:
            return (
                f"No usable video in data.root={config.root} is for `{split}` according to data.train_list="
                f"{config.train_list}, data.val_list={config.val_list} and data.test_list={config.test_list}. The "
                "lists name videos as <class>/<video>."
            )
        return (
            f"No video in data.root={config.root} is left for `{split}`: a class with a single video, or with clips "
            "of a single source, is for training only. Add videos, or type data.val_list=<file with a <class>/<video> "
            "per line>."
        )


def class_of_path(video: str) -> str:
    """Name of a video's class: the first folder of its path under the root."""
    return video.partition("/")[0]


def find_classes(config: ClassesConfig) -> Classes:
    """Find the classes and videos of a configuration. Raises ZooError if settings, lists and files do not match."""
    check_settings(config)
    check_choice("data.condition", config.condition, ("auto", "none", "edges", "distance"))
    if not config.attribute:
        raise ZooError("data.attribute is empty. Type a name for the classes, such as data.attribute=action.")
    root = require_root(config, "the videos", LAYOUT)
    found = [path.relative_to(root).as_posix() for path in find_videos(root).videos]
    names = [name for name in found if "/" in name]
    if not names:
        raise ZooError(_explain_no_classes(config, root, found))
    _check_root_depth(config, names)
    classes = tuple(sorted({class_of_path(name) for name in names}))
    sentences = []
    if outside := sorted(set(found) - set(names)):
        sentences.append(f"Skipped, because they are in no class's folder: {abbreviate(outside)}.")
    catalogue = open_labelled_catalogue(config, config.frames, config.image_fps)
    splits, list_notes = _split_videos(config, root, names, catalogue.copies)
    sentences += [*list_notes, *describe_copies(catalogue.copies, splits)]
    spec = build_labelled_spec(config, catalogue, {config.attribute: classes})
    found_classes = Classes(config, catalogue, classes, splits, spec, tuple(sentences))
    found_classes.videos_for("train")
    return found_classes


def _split_videos(
    config: ClassesConfig, root: Path, names: Sequence[str], copies: Mapping[str, str]
) -> tuple[dict[str, Split], list[str]]:
    """Assign splits by the lists, and hold out shares of what they leave for training; returns notes, too."""
    if config.test_list and config.test_share:
        raise ZooError(
            f"data.test_list={config.test_list} names the test videos, and data.test_share={config.test_share:g} takes "
            "others. Leave one of the two out."
        )
    listed = [config.train_list, config.val_list, config.test_list]
    splits, notes = read_lists(config, root, names) if any(listed) else (dict.fromkeys(names, "train"), [])
    has_val = config.val_list or (config.train_list and not config.test_list)
    training = [name for name, split in splits.items() if split == "train"]
    val_share = 0.0 if has_val else config.val_share
    return splits | hold_out_by_class(training, val_share, config.test_share, copies), notes


def hold_out_by_class(
    names: Sequence[str], val_share: float, test_share: float = 0.0, copies: Mapping[str, str] | None = None
) -> dict[str, Split]:
    """Assign a split to each video: shares of the source videos of each class are for validation and for test, if it
    has enough of them.

    Depends on the names alone, so neither unreadable files nor the length of a clip move a video. Only a copy is in the
    split of the video of its class that it repeats, unless the class has no other. copies: see `split_by_source`.
    """
    classes: dict[str, list[str]] = defaultdict(list)
    for name in names:
        classes[class_of_path(name)].append(name)
    recordings: dict[str, str] = {}
    for each in classes.values():
        merged = {name: _first_in_class(name, copies or {}) for name in each}
        alike = len({source_of(first) for first in merged.values()}) == 1
        recordings |= {name: source_of(name if alike else first) for name, first in merged.items()}
    groups = {label: sorted({recordings[name] for name in each}) for label, each in classes.items()}
    splits = split_groups(groups, val_share, test_share)
    return {name: splits[recording] for name, recording in recordings.items()}


def _first_in_class(name: str, copies: Mapping[str, str]) -> str:
    first = copies.get(name, name)
    return first if class_of_path(first) == class_of_path(name) else name


def source_of(name: str) -> str:
    """Name of the video that a clip was taken from: as its data set states it, else its path without suffix and without
    `_c<number>`."""
    stated = sources.source_of(name)
    return stated if stated != name else CLIP_SUFFIX.sub("", Path(name).with_suffix("").as_posix())


def _check_root_depth(config: ClassesConfig, names: Collection[str]) -> None:
    """Raise ZooError if the root contains a single folder with the folders of the classes: that folder is the root."""
    deep = {name.split("/")[1] for name in names if name.count("/") >= 2}
    if len({class_of_path(name) for name in names}) == 1 and len(deep) > 1 and all(n.count("/") >= 2 for n in names):
        inner = class_of_path(next(iter(names)))
        raise ZooError(
            f"data.root={config.root} contains a single folder, {inner}, with {len(deep)} folders of videos. If these "
            f"are the classes, type {shlex.quote(f'data.root={Path(config.root) / inner}')}"
        )


def _explain_no_classes(config: ClassesConfig, root: Path, found: Sequence[str]) -> str:
    archives = sorted(path.name for path in root.iterdir() if path.suffix.lower() in (".zip", ".rar"))
    lead = f"data.root={config.root} contains no folder of videos per class. It takes {LAYOUT}."
    if found:
        words = shlex.join(["data=folder", f"data.root={config.root}"])
        return f"{lead} Found there: {abbreviate(found)}. To ignore classes, type {words}"
    if archives:
        command = python_command("zoo.data.prepare", "classes", f"root={config.root}")
        return f"{lead} Found there: {abbreviate(archives)}. Type: {command}"
    return f"{lead} To see where to get such data, type: python -m zoo.data.prepare classes"
