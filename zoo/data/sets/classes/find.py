"""Which videos stand in which class's folder, and which split they are for. Imports no torch."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data.sequences.cache import ArrayCache, cache_home
from zoo.data.sequences.checks import check_footage, existing_root
from zoo.data.sequences.find import find_videos
from zoo.data.sequences.footage import Footage
from zoo.data.sequences.labelled import few, labelled_catalogue, labelled_spec
from zoo.data.sequences.split import Stretch, held_out
from zoo.data.sets.classes.lists import read_lists
from zoo.data.sets.classes.names import LAYOUT
from zoo.data.sets.folder.catalogue import Catalogue
from zoo.data.sets.folder.footage import Video
from zoo.errors import ZooError, one_of
from zoo.types import ClipSpec, Split

if TYPE_CHECKING:
    from zoo.data.sets.classes.config import ClassesConfig

CLIP_OF_GROUP = re.compile(r"_c\d+$")
"""What tells apart the clips that UCF-101 cut from one source."""


@dataclass(frozen=True)
class Classes:
    """What a root holds. names: of the classes, by id. splits: by video name; one that no list names has none."""

    config: ClassesConfig
    catalogue: Catalogue
    names: tuple[str, ...]
    splits: dict[str, Split]
    spec: ClipSpec
    sentences: tuple[str, ...]

    def pool(self, split: Split) -> list[Video]:
        """The usable videos of a split. A ZooError if there are none."""
        videos = [video for video in self.catalogue.videos if self.splits.get(video.name) == split]
        if not videos:
            raise ZooError(self._empty(split))
        return videos

    def stretches(self, split: Split) -> list[Stretch]:
        """The videos of a split, whole."""
        size, cache = (self.spec.height, self.spec.width), ArrayCache(cache_home(self.catalogue.root))
        footage = [Footage(video, *size, self.spec.fps, cache, self.config.kept) for video in self.pool(split)]
        return [Stretch(each, 0, each.video.length) for each in footage]

    def class_of(self, video: str) -> int:
        """The id of a video's class."""
        return self.names.index(class_name(video))

    def notes(self, split: Split) -> list[str]:
        """What a user should hear once: what is left out, and classes that a split has nothing of."""
        there = {class_name(video.name) for video in self.pool(split)}
        missing = [name for name in self.names if name not in there]
        skipped = self.catalogue.skipped
        notes = [*self.sentences]
        if skipped:
            notes.append(f"{len(skipped)} videos are skipped, {len(self.catalogue.videos)} are used: {skipped[0]}")
        if missing:
            notes.append(f"`{split}` has no video of {len(missing)} of the {len(self.names)} classes: {few(missing)}.")
        return notes

    def _empty(self, split: Split) -> str:
        config = self.config
        if config.train_list or config.val_list:
            return (
                f"No usable video in data.root={config.root} is for `{split}` by data.train_list={config.train_list} "
                f"and data.val_list={config.val_list}. They name videos as <class>/<video>."
            )
        return (
            f"No video in data.root={config.root} is left for `{split}`: of a class with one video, or with clips of "
            "one source, all is for training. Add videos, or type data.val_list=<file with a <class>/<video> a line>."
        )


def class_name(video: str) -> str:
    """The folder under the root that a video, by its path there, is in."""
    return video.partition("/")[0]


def find(config: ClassesConfig) -> Classes:
    """The classes and videos of a configuration. Raises ZooError where settings, lists and files do not fit."""
    check_footage(config)
    one_of("data.condition", config.condition, ("auto", "none", "edges", "distance"))
    if not config.attribute:
        raise ZooError("data.attribute is empty. Type what the classes are called, such as data.attribute=action.")
    root = existing_root(config, "the videos", LAYOUT)
    found = [path.relative_to(root).as_posix() for path in find_videos(root).videos]
    names = [name for name in found if "/" in name]
    if not names:
        raise ZooError(_no_classes(config, root, found))
    _refuse_one_too_high(config, names)
    classes = tuple(sorted({class_name(name) for name in names}))
    sentences = []
    if loose := sorted(set(found) - set(names)):
        sentences.append(f"In no class's folder, so left out: {few(loose)}.")
    if config.train_list or config.val_list:
        splits, said = read_lists(config, root, names)
        sentences += said
    else:
        splits = held_out_by_class(names, config.val_share)
    catalogue = labelled_catalogue(config, config.frames, config.image_fps)
    spec = labelled_spec(config, catalogue, {config.attribute: classes})
    classified = Classes(config, catalogue, classes, splits, spec, tuple(sentences))
    classified.pool("train")
    return classified


def held_out_by_class(names: Sequence[str], share: float) -> dict[str, Split]:
    """A split for each video: a share of the sources of each class is for evaluation, where it has two or more.

    A function of the names alone: neither what can be read nor how long a clip is moves a video.
    """
    sources: dict[str, set[str]] = defaultdict(set)
    for name in names:
        sources[class_name(name)].add(source_of(name))
    val = set().union(*(held_out(sorted(each), share) for each in sources.values()))
    return {name: "val" if source_of(name) in val else "train" for name in names}


def source_of(name: str) -> str:
    """The video that a clip was cut from: its path without suffix and without `_c<number>`."""
    return CLIP_OF_GROUP.sub("", stem_of(name))


def stem_of(name: str) -> str:
    """Path without the suffix of the file."""
    return str(Path(name).with_suffix("").as_posix())


def _refuse_one_too_high(config: ClassesConfig, names: Collection[str]) -> None:
    """A root with one folder, in which the classes are, is the folder above the root that is meant."""
    deep = {name.split("/")[1] for name in names if name.count("/") >= 2}
    if len({class_name(name) for name in names}) == 1 and len(deep) > 1 and all(n.count("/") >= 2 for n in names):
        inner = class_name(next(iter(names)))
        raise ZooError(
            f"data.root={config.root} holds one folder, {inner}, with {len(deep)} folders of videos in it. Are they "
            f"the classes? Type data.root={Path(config.root) / inner}"
        )


def _no_classes(config: ClassesConfig, root: Path, found: Sequence[str]) -> str:
    archives = sorted(path.name for path in root.iterdir() if path.suffix.lower() in (".zip", ".rar"))
    lead = f"data.root={config.root} holds no folder of videos for a class. It takes {LAYOUT}."
    if found:
        return f"{lead} Found there: {few(found)}. Without classes: data=folder data.root={config.root}"
    if archives:
        return f"{lead} Found there: {few(archives)}. Type: python -m zoo.data.prepare classes root={config.root}"
    return f"{lead} Where to get some: python -m zoo.data.prepare classes"
