"""Find the videos of the Weizmann set under a root and read their names. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli import python_command
from zoo.data.sequences.cache import ArrayCache, cache_folder
from zoo.data.sequences.checks import check_settings, require_root
from zoo.data.sequences.find import find_videos
from zoo.data.sequences.footage import Footage
from zoo.data.sequences.labelled import abbreviate, build_labelled_spec, open_labelled_catalogue
from zoo.data.sequences.split import Segment, explain_no_test, split_part
from zoo.data.sets.folder.catalogue import Catalogue
from zoo.data.sets.folder.footage import FolderVideo
from zoo.data.sets.weizmann.crop import crop_video
from zoo.data.sets.weizmann.names import ACTIONS, CROPS, LAYOUT, PEOPLE
from zoo.errors import ZooError, check_choice, suggest
from zoo.types import ClipSpec, Split

if TYPE_CHECKING:
    from zoo.data.sets.weizmann.config import WeizmannConfig

TAKES = ("", "1", "2")
"""Suffixes of an action: lena runs, skips and walks twice."""
AttributeIds = dict[str, int]


@dataclass(frozen=True)
class Weizmann:
    """The videos under a root. attributes: by video name, who does what."""

    config: WeizmannConfig
    catalogue: Catalogue
    videos: tuple[FolderVideo, ...]
    attributes: dict[str, AttributeIds]
    spec: ClipSpec

    def segments(self, split: Split) -> list[Segment]:
        """Return the part of each video that belongs to a split, except those shorter than a clip.

        Raises ZooError if all are shorter.
        """
        if split == "test" and not self.config.test_share:
            raise explain_no_test(self.config)
        parts = self._split_videos(split)
        usable = [part for part in parts if part.length >= self.config.frames]
        if not usable:
            longest = max(parts, key=lambda part: part.length)
            setting = "data.frames" if split == "train" else "evaluation.frames"
            raise ZooError(
                f"No video in data.root={self.config.root} has the {self.config.frames} frames of a clip in `{split}`. "
                f"The longest, {longest.footage.video.path}, has {longest.length} at data.fps={self.config.fps:g}: "
                f"type {setting}={max(1, longest.length)}."
            )
        return usable

    def notes(self, split: Split) -> list[str]:
        """Messages to show once: what is missing, unreadable or too short."""
        notes = list(self.catalogue.skipped)
        if missing := self._find_missing():
            notes.append(self._describe_missing(missing))
        short = [part for part in self._split_videos(split) if part.length < self.config.frames]
        if short:
            names = abbreviate([f"{part.footage.video.name} ({part.length})" for part in short])
            notes.append(
                f"{len(short)} of {len(self.videos)} videos are skipped in `{split}`: their part of it is shorter "
                f"than a clip of {self.config.frames} frames: {names}."
            )
        return notes

    def _split_videos(self, split: Split) -> list[Segment]:
        cache = ArrayCache(cache_folder(self.catalogue.root))
        shares = self.config.val_share, self.config.test_share
        return [split_part(self._footage(video, cache), video.info.frames, split, *shares) for video in self.videos]

    def _footage(self, video: FolderVideo, cache: ArrayCache) -> Footage:
        shown = crop_video(video, self.config.crop, cache)
        return Footage(shown, self.spec.height, self.spec.width, self.config.fps, cache, self.config.cached)

    def _find_missing(self) -> list[str]:
        """List person and action of the missing videos."""
        there = {(who["identity"], who["action"]) for who in self.attributes.values()}
        return [
            f"{PEOPLE[person]}_{ACTIONS[action]}"
            for person, action in product(range(len(PEOPLE)), range(len(ACTIONS)))
            if (person, action) not in there
        ]

    def _describe_missing(self, absent: Sequence[str]) -> str:
        people = [name for name in PEOPLE if all(f"{name}_{action}" in absent for action in ACTIONS)]
        actions = [name for name in ACTIONS if all(f"{person}_{name}" in absent for person in PEOPLE)]
        single = [pair for pair in absent if not set(pair.split("_")) & {*people, *actions}]
        missing = "; ".join(abbreviate(names) for names in (people, actions, single) if names)
        return (
            f"{len(self.videos)} of the 93 videos of Weizmann are in data.root={self.config.root}. Missing: {missing}."
        )


def find_weizmann(config: WeizmannConfig) -> Weizmann:
    """Find the videos of a configuration. Raises ZooError if settings, names and files do not match."""
    _check_settings(config)
    root = require_root(config, "the videos", LAYOUT)
    files = [path for path in find_videos(root).videos if path.is_file()]
    if not files:
        raise ZooError(_explain_no_videos(config, root))
    attributes = {path.relative_to(root).as_posix(): read_name(path, root) for path in files}
    _check_duplicates(files)
    catalogue = open_labelled_catalogue(config, frames=1)
    names = {"identity": PEOPLE, "action": ACTIONS}
    square = None if config.crop == "none" else config.width or config.height
    spec = build_labelled_spec(config, catalogue, names, square)
    videos = tuple(video for video in catalogue.videos if video.name in attributes)
    known = {video.name: attributes[video.name] for video in videos}
    found = Weizmann(config, catalogue, videos, known, spec)
    found.segments("train")
    return found


def _check_settings(config: WeizmannConfig) -> None:
    check_settings(config)
    check_choice("data.condition", config.condition, ("auto", "none", "edges", "distance"))
    check_choice("data.crop", config.crop, CROPS)


def read_name(path: Path, root: Path) -> AttributeIds:
    """Read person and action from a file's name. Raises ZooError if it, or its folder, does not state them."""
    person, _, rest = path.stem.lower().partition("_")
    actions = [action for action in ACTIONS for take in TAKES if rest == action + take]
    if person not in PEOPLE or not actions:
        names = (f"{name}_{action}" for name in PEOPLE for action in ACTIONS)
        hint = suggest(path.stem.lower(), names)
        raise ZooError(
            f"{path} is not named <person>_<action>.avi as in Weizmann.{hint} People: {', '.join(PEOPLE)}. Actions: "
            f"{', '.join(ACTIONS)}. Rename the file, or move it out of data.root={root}."
        )
    folder = path.parent.name.lower()
    if path.parent != root and folder in ACTIONS and folder != actions[0]:
        raise ZooError(f"{path} is named `{actions[0]}` but is in the folder `{folder}`. Rename or move it.")
    return {"identity": PEOPLE.index(person), "action": ACTIONS.index(actions[0])}


def _check_duplicates(files: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in files:
        first = seen.setdefault(path.stem.lower(), path)
        if first is not path:
            raise ZooError(f"{first} and {path} are the same video of Weizmann. Move one of them away.")


def _explain_no_videos(config: WeizmannConfig, root: Path) -> str:
    archives = sorted(path.name for path in root.glob("*.zip"))
    if archives:
        return (
            f"data.root={config.root} contains no video, but {abbreviate(archives)}. Type: "
            f"{python_command('zoo.data.prepare', 'weizmann', f'root={config.root}')}"
        )
    return (
        f"data.root={config.root} contains no video. It takes {LAYOUT}. To see where to get them, type: "
        "python -m zoo.data.prepare weizmann"
    )
