"""Which videos of the Weizmann set lie under a root, and what their names say. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data.sequences.cache import ArrayCache, cache_home
from zoo.data.sequences.checks import check_footage, existing_root
from zoo.data.sequences.find import find_videos
from zoo.data.sequences.footage import Footage
from zoo.data.sequences.labelled import few, labelled_catalogue, labelled_spec
from zoo.data.sequences.split import Stretch
from zoo.data.sets.folder.catalogue import Catalogue
from zoo.data.sets.folder.footage import Video
from zoo.data.sets.weizmann.crop import cropped
from zoo.data.sets.weizmann.names import ACTIONS, CROPS, LAYOUT, PEOPLE
from zoo.errors import ZooError, nearest, one_of
from zoo.types import ClipSpec, Split

if TYPE_CHECKING:
    from zoo.data.sets.weizmann.config import WeizmannConfig

TAKES = ("", "1", "2")
"""What stands behind an action: lena runs, skips and walks twice."""
AttributeIds = dict[str, int]


@dataclass(frozen=True)
class Weizmann:
    """What a root holds of the set. videos, attributes: files and, by name, who does what."""

    config: WeizmannConfig
    catalogue: Catalogue
    videos: tuple[Video, ...]
    attributes: dict[str, AttributeIds]
    spec: ClipSpec

    def stretches(self, split: Split) -> list[Stretch]:
        """The part of each video that is for a split; those without room for a clip are left out.

        Raises ZooError if none has room.
        """
        parts = self._parts(split)
        usable = [part for part in parts if part.length >= self.config.frames]
        if not usable:
            longest = max(parts, key=lambda part: part.length)
            setting = "data.frames" if split == "train" else "evaluation.frames"
            raise ZooError(
                f"Clips of {self.config.frames} frames were asked; no video in data.root={self.config.root} has that "
                f"many for `{split}`. The longest, {longest.footage.video.path}, has {longest.length} there, at "
                f"data.fps={self.config.fps:g}: type {setting}={max(1, longest.length)}."
            )
        return usable

    def notes(self, split: Split) -> list[str]:
        """What a user should hear once: what is missing, unreadable, too short."""
        notes = list(self.catalogue.skipped)
        notes += [self._missing(found) for found in (self._absent(),) if found]
        short = [part for part in self._parts(split) if part.length < self.config.frames]
        if short:
            names = few([f"{part.footage.video.name} ({part.length})" for part in short])
            notes.append(
                f"{len(short)} of {len(self.videos)} videos are left out of `{split}`: their part in it is shorter "
                f"than a clip of {self.config.frames} frames: {names}."
            )
        return notes

    def _parts(self, split: Split) -> list[Stretch]:
        cache = ArrayCache(cache_home(self.catalogue.root))
        share = self.config.val_share
        return [part_in_time(self._footage(video, cache), video.info.frames, split, share) for video in self.videos]

    def _footage(self, video: Video, cache: ArrayCache) -> Footage:
        shown = cropped(video, self.config.crop, cache)
        return Footage(shown, self.spec.height, self.spec.width, self.config.fps, cache, self.config.kept)

    def _absent(self) -> list[str]:
        """Person and action of the set of which there is no video."""
        there = {(who["identity"], who["action"]) for who in self.attributes.values()}
        return [
            f"{PEOPLE[person]}_{ACTIONS[action]}"
            for person, action in product(range(len(PEOPLE)), range(len(ACTIONS)))
            if (person, action) not in there
        ]

    def _missing(self, absent: Sequence[str]) -> str:
        people = [name for name in PEOPLE if all(f"{name}_{action}" in absent for action in ACTIONS)]
        actions = [name for name in ACTIONS if all(f"{person}_{name}" in absent for person in PEOPLE)]
        single = [pair for pair in absent if not set(pair.split("_")) & {*people, *actions}]
        missing = "; ".join(few(names) for names in (people, actions, single) if names)
        return (
            f"{len(self.videos)} of the 93 videos of Weizmann are in data.root={self.config.root}. Missing: {missing}."
        )


def part_in_time(footage: Footage, stored: int, split: Split, share: float) -> Stretch:
    """The first 1 - share of the ``stored`` frames to train on, the rest to evaluate on; none is in both."""
    boundary = int((footage.stored < round(stored * (1 - share))).sum())
    return Stretch(footage, 0, boundary) if split == "train" else Stretch(footage, boundary, footage.video.length)


def find(config: WeizmannConfig) -> Weizmann:
    """The videos of a configuration. Raises ZooError where settings, names and files do not fit."""
    _check_settings(config)
    root = existing_root(config, "the videos", LAYOUT)
    files = [path for path in find_videos(root).videos if path.is_file()]
    if not files:
        raise ZooError(_nothing(config, root))
    attributes = {path.relative_to(root).as_posix(): read_name(path, root) for path in files}
    _refuse_doubles(files)
    catalogue = labelled_catalogue(config, frames=1)
    names = {"identity": PEOPLE, "action": ACTIONS}
    square = None if config.crop == "none" else config.width or config.height
    spec = labelled_spec(config, catalogue, names, square)
    videos = tuple(video for video in catalogue.videos if video.name in attributes)
    known = {video.name: attributes[video.name] for video in videos}
    found = Weizmann(config, catalogue, videos, known, spec)
    found.stretches("train")
    return found


def _check_settings(config: WeizmannConfig) -> None:
    check_footage(config)
    one_of("data.condition", config.condition, ("auto", "none", "edges", "distance"))
    one_of("data.crop", config.crop, CROPS)
    if config.starts is not None and config.starts < 1:
        raise ZooError(
            f"data.starts={config.starts} is no number of clips. Type data.starts=20, or data.starts=null for a clip "
            "at every frame."
        )


def read_name(path: Path, root: Path) -> AttributeIds:
    """Who does what in a file. A ZooError if its name, or its folder's, does not say."""
    person, _, rest = path.stem.lower().partition("_")
    actions = [action for action in ACTIONS for take in TAKES if rest == action + take]
    if person not in PEOPLE or not actions:
        hint = nearest(path.stem.lower(), _known_names())
        raise ZooError(
            f"{path} fits no <person>_<action>.avi of Weizmann.{hint} People: {', '.join(PEOPLE)}. Actions: "
            f"{', '.join(ACTIONS)}. Rename the file, or move it out of data.root={root}."
        )
    folder = path.parent.name.lower()
    if path.parent != root and folder in ACTIONS and folder != actions[0]:
        raise ZooError(f"{path} is called `{actions[0]}` and lies in the folder `{folder}`. Rename it, or move it.")
    return {"identity": PEOPLE.index(person), "action": ACTIONS.index(actions[0])}


def _known_names() -> Iterator[str]:
    return (f"{person}_{action}" for person in PEOPLE for action in ACTIONS)


def _refuse_doubles(files: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in files:
        first = seen.setdefault(path.stem.lower(), path)
        if first is not path:
            raise ZooError(f"{first} and {path} are the same video of Weizmann. Move one of them away.")


def _nothing(config: WeizmannConfig, root: Path) -> str:
    archives = sorted(path.name for path in root.glob("*.zip"))
    if archives:
        return (
            f"data.root={config.root} holds no video, but {few(archives)}. Unpack: "
            f"python -m zoo.data.prepare weizmann root={config.root}"
        )
    return (
        f"data.root={config.root} holds no video. It takes {LAYOUT}. Where to get them: "
        "python -m zoo.data.prepare weizmann"
    )
