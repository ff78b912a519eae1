"""Find the videos of KTH under a root, read their names, and cut them into sequences. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data.sequences.cache import ArrayCache, cache_folder
from zoo.data.sequences.checks import check_settings, require_root
from zoo.data.sequences.find import find_videos
from zoo.data.sequences.footage import Footage
from zoo.data.sequences.labelled import abbreviate, build_labelled_spec, open_labelled_catalogue
from zoo.data.sequences.split import Segment, assign_splits
from zoo.data.sets.folder.catalogue import Catalogue
from zoo.data.sets.folder.footage import FolderVideo
from zoo.data.sets.kth.names import ACTIONS, HELD_OUT, LAYOUT, PEOPLE, RESIZES, SCENARIOS, VIDEOS
from zoo.data.sets.kth.sequences import Spans, find_list, read_sequences
from zoo.data.sets.kth.stretch import StretchedVideo
from zoo.errors import ZooError, check_choice, suggest
from zoo.types import ClipSpec, Split

if TYPE_CHECKING:
    from zoo.data.sets.kth.config import KTHConfig

NAME = re.compile(r"(person\d\d)_([a-z]+)_(d\d)(?:_uncomp)?", re.IGNORECASE)


@dataclass(frozen=True)
class KTH:
    """The videos under a root. keys: by video name, its name in the list of sequences. spans: by key, the sequences of
    a video; None for whole videos."""

    config: KTHConfig
    catalogue: Catalogue
    keys: Mapping[str, str]
    spans: Mapping[str, Spans] | None
    spec: ClipSpec

    @property
    def attributes(self) -> dict[str, dict[str, int]]:
        """By video name, who does what in which scenario."""
        return {
            name: dict(zip(("identity", "action", "scenario"), _ids(key), strict=True)) for name, key in self._items
        }

    @property
    def _items(self) -> Sequence[tuple[str, str]]:
        return [(video.name, self.keys[video.name]) for video in self.catalogue.videos]

    def segments(self, split: Split) -> list[Segment]:
        """The sequences of a split that are as long as a clip. Raises ZooError if there are none."""
        people = people_of(self.config)
        if split == "test" and "test" not in people.values():
            raise ZooError(
                "data=kth with data.val_share=0 has no test split: the people held out are for validation. Train with "
                "data.val_share=0.1, or type split=val."
            )
        found = self._cut(split, people)
        usable = [segment for segment in found if segment.length >= self.config.frames]
        if not usable:
            raise ZooError(self._explain_empty(split, found))
        return usable

    def notes(self, split: Split) -> list[str]:
        """Messages to show once: what is missing, unreadable, not listed, too short or cut."""
        videos = self.catalogue.videos
        notes = list(self.catalogue.skipped)
        if len(videos) != VIDEOS:
            notes.append(f"{len(videos)} of the {VIDEOS} videos of KTH are in data.root={self.config.root}.")
        if unlisted := [key for _, key in self._items if self.spans is not None and key not in self.spans]:
            notes.append(f"Not used: data.sequences={self.config.sequences} does not list {abbreviate(unlisted)}.")
        ends = {self.keys[video.name]: video.info.frames for video in videos}
        if cut := [key for key, spans in (self.spans or {}).items() if key in ends and spans[-1][1] > ends[key]]:
            notes.append(f"Sequences that are listed beyond the end of their video are cut there: {abbreviate(cut)}.")
        found = self._cut(split, people_of(self.config))
        if short := sum(segment.length < self.config.frames for segment in found):
            notes.append(
                f"{short} of {len(found)} sequences of `{split}` are not used: they are shorter than a clip of "
                f"{self.config.frames} frames."
            )
        return notes

    def _cut(self, split: Split, people: Mapping[str, Split]) -> list[Segment]:
        """All sequences of a split, in the order of videos and list."""
        cache = ArrayCache(cache_folder(self.catalogue.root))
        segments = []
        for video in self.catalogue.videos:
            key = self.keys[video.name]
            if people[key.partition("_")[0]] == split:
                footage = self._footage(video, cache)
                whole = ((0, video.info.frames),)
                for first, stop in whole if self.spans is None else self.spans.get(key, ()):
                    segments.append(Segment(footage, _shown(footage, video, first), _shown(footage, video, stop)))
        return segments

    def _footage(self, video: FolderVideo, cache: ArrayCache) -> Footage:
        size = self.spec.height, self.spec.width
        source = StretchedVideo(video, *size) if self.config.resize == "stretch" else video
        return Footage(source, *size, self.spec.fps, cache, self.config.cached)

    def _explain_empty(self, split: Split, found: Sequence[Segment]) -> str:
        root, frames = self.config.root, self.config.frames
        if not found:
            people = sorted(person for person, part in people_of(self.config).items() if part == split)
            return (
                f"data.root={root} has no sequence of the people for `{split}`: {abbreviate(people)}. Add their videos."
            )
        longest = max(found, key=lambda segment: segment.length)
        setting = "data.frames" if split == "train" else "evaluation.frames"
        return (
            f"No sequence for `{split}` in data.root={root} has the {frames} frames of a clip. The longest, of "
            f"{longest.footage.video.path}, has {longest.length}: type {setting}={max(1, longest.length)}"
        )


def _shown(footage: Footage, video: FolderVideo, number: int) -> int:
    """Number of the first frame of a clip's rate that shows this stored frame or a later one."""
    if video.info.fps == footage.fps:
        return min(number, footage.video.length)
    return int((footage.stored < number).sum())


def people_of(config: KTHConfig) -> dict[str, Split]:
    """The split of each person. It depends on the settings alone, not on which videos are there."""
    val, test = HELD_OUT[config.people]
    splits: dict[str, Split] = dict.fromkeys(PEOPLE, "train")
    if val:
        return splits | dict.fromkeys(val, "val") | dict.fromkeys(test, "test")
    if not config.val_share:
        return splits | dict.fromkeys(test, "val")
    training = [person for person in PEOPLE if person not in test]
    return assign_splits(training, config.val_share, 0.0) | dict.fromkeys(test, "test")


def find_kth(config: KTHConfig) -> KTH:
    """Find the videos of a configuration. Raises ZooError if settings, names, list and files do not match."""
    _check_settings(config)
    root = require_root(config, "the videos", LAYOUT)
    paths = find_videos(root).videos
    if not paths:
        raise ZooError(_explain_no_videos(config, root))
    keys = {path.relative_to(root).as_posix(): read_name(path, root) for path in paths}
    _check_duplicates(keys)
    spans = read_sequences(find_list(config.sequences, root)) if config.sequences else None
    catalogue = open_labelled_catalogue(replace(config, val_share=0.1), frames=1)  # of no matter there, but not 0
    names = {"identity": PEOPLE, "action": ACTIONS, "scenario": SCENARIOS}
    square = (config.width or config.height) if config.resize == "stretch" else None
    found = KTH(config, catalogue, keys, spans, build_labelled_spec(config, catalogue, names, square))
    found.segments("train")
    return found


def _check_settings(config: KTHConfig) -> None:
    check_settings(config)
    check_choice("data.condition", config.condition, ("auto", "none", "edges", "distance"))
    check_choice("data.people", config.people, HELD_OUT)
    check_choice("data.resize", config.resize, RESIZES)
    if config.test_share:
        raise ZooError(
            f"data.test_share={config.test_share:g}, but KTH has people for test (data.people={config.people}). Leave "
            "data.test_share out."
        )


def read_name(path: Path, root: Path) -> str:
    """Read the name of a video in the list of sequences from that of its file or folder. Raises ZooError for others."""
    stem = path.name if path.is_dir() else path.stem
    match = NAME.fullmatch(stem)
    key = "_".join(part.lower() for part in match.groups()) if match else stem.lower()
    known = {f"{person}_{action}_{scenario}" for person in PEOPLE for action in ACTIONS for scenario in SCENARIOS}
    if key not in known:
        raise ZooError(
            f"{path} is not named as in KTH, such as person01_boxing_d1_uncomp.avi.{suggest(key, known)} Rename it, or "
            f"move it out of data.root={root}."
        )
    return key


def _ids(key: str) -> tuple[int, int, int]:
    person, action, scenario = key.split("_")
    return PEOPLE.index(person), ACTIONS.index(action), SCENARIOS.index(scenario)


def _check_duplicates(keys: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    for name, key in keys.items():
        first = seen.setdefault(key, name)
        if first != name:
            raise ZooError(f"{first} and {name} are the same video of KTH. Move one of them away.")


def _explain_no_videos(config: KTHConfig, root: Path) -> str:
    archives = sorted(path.name for path in root.glob("*.zip"))
    if archives:
        return (
            f"data.root={config.root} contains no video, but {abbreviate(archives)}. Type: "
            f"python -m zoo.data.prepare kth root={config.root}"
        )
    return (
        f"data.root={config.root} contains no video. It takes {LAYOUT}. To see where to get them, type: "
        "python -m zoo.data.prepare kth"
    )
