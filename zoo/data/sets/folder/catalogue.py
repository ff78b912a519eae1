"""The usable videos of a folder, and a sentence for each that is not. Imports no torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.data.decode import VideoInfo, probe, read_image
from zoo.data.sequences.cache import cache_home, load_index, save_index
from zoo.data.sequences.checks import check_footage, class_names, existing_root, foreground_names
from zoo.data.sequences.collection import proportional
from zoo.data.sequences.files import files_in, stamp_of
from zoo.data.sequences.find import LAYOUT, Found, find_videos
from zoo.data.sets.folder.footage import MapFolder, Stored, Video
from zoo.data.transforms import DRAWN_CHANNELS
from zoo.errors import ZooError, one_of
from zoo.types import ClipSpec

if TYPE_CHECKING:
    from zoo.data.sets.folder.config import FolderConfig

SHOWN = 10
"""Sentences about skipped files in one warning."""

MOST = 1 << 26
"""Frames, pixels of a side or frames a second, of a video."""

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Catalogue:
    """What the folder holds for a configuration; ``skipped`` are sentences."""

    config: FolderConfig
    root: Path
    videos: tuple[Video, ...]
    skipped: tuple[str, ...]

    @property
    def width(self) -> int:
        """The width asked for, or that of the first video's proportion, rounded to a multiple of 16."""
        first = self.videos[0].info
        return self.config.width or proportional(self.config.height, first.height, first.width)

    def spec(self) -> ClipSpec:
        """What every clip of this folder has."""
        config = self.config
        present = {
            "video": True,
            "labels": config.labels is not None,
            "instances": config.instances is not None,
            "condition": config.condition != "none",
            "flow": config.flow != "none",
            "visibility": config.flow != "none",
        }
        return ClipSpec(
            fields=tuple(name for name, there in present.items() if there),
            frames=config.frames,
            height=config.height,
            width=self.width,
            fps=config.fps,
            label_names=label_names(config),
            foreground=foreground_names(config.foreground, label_names(config)),
            condition_kind=config.condition,
            condition_channels=DRAWN_CHANNELS.get(config.condition, 0),
        )

    def notes(self) -> list[str]:
        """What a user should hear once: what is skipped, what is cropped."""
        return [*self._skipped_note(), *self._sizes_note()]

    def _skipped_note(self) -> Iterator[str]:
        if self.skipped:
            more = len(self.skipped) - SHOWN
            rest = [f"... and {more} more: python -m zoo.data.check root={self.root}"] if more > 0 else []
            lines = [f"{len(self.skipped)} skipped, {len(self.videos)} used in data.root={self.root}:"]
            yield "\n  ".join([*lines, *self.skipped[:SHOWN], *rest])

    def _sizes_note(self) -> Iterator[str]:
        names: dict[tuple[int, int], list[str]] = defaultdict(list)
        for video in self.videos:
            names[video.info.width, video.info.height].append(video.name)
        if len(names) > 1:
            sizes = ", ".join(f"{w}x{h} ({len(same)}, e.g. {same[0]})" for (w, h), same in names.items())
            yield (
                f"data.root={self.root} holds videos of {len(names)} sizes: {sizes}. "
                f"Each is scaled to cover {self.width}x{self.config.height} and centre-cropped."
            )


def label_names(config: FolderConfig) -> tuple[str, ...]:
    """Names of the classes, by id; numbers where only a count is given; empty without labels."""
    if config.labels is None:
        return ()
    return class_names(f"data.labels={config.labels}", config.label_names, config.label_count)


def open_catalogue(config: FolderConfig) -> Catalogue:
    """Find, probe and check. Raises ZooError if a setting is wrong or nothing can be used."""
    check_footage(config)
    one_of("data.condition", config.condition, ("none", *DRAWN_CHANNELS))
    label_names(config)
    root = existing_root(config, "the videos", LAYOUT)
    maps = {
        kind: _map_root(root, kind, setting)
        for kind, setting in (("labels", config.labels), ("instances", config.instances))
        if setting is not None
    }
    found = find_videos(root, leave_out=maps.values())
    stored, broken = _probe_all(root, found.videos, config)
    videos, unfit = _attempt(stored, lambda each: _fit(each, config, maps))
    skipped = (*found.problems, *broken, *unfit)
    if not videos:
        raise ZooError(_nothing_usable(root, found, skipped))
    return Catalogue(config, root, tuple(videos), skipped)


def _map_root(root: Path, kind: str, setting: str) -> Path:
    """The folder of labels or instances: inside the root, beside it, or as typed."""
    places = [root / setting, root.parent / setting, Path(setting).expanduser()]
    for place in places:
        if place.is_dir():
            return place
    searched = ", ".join(dict.fromkeys(str(place) for place in places))
    raise ZooError(f"data.{kind}={setting}: there is no such folder. Searched: {searched}.")


def _probe_all(root: Path, paths: list[Path], config: FolderConfig) -> tuple[list[Stored], list[str]]:
    """Probe what the index does not know yet. Failures are not kept: their cause may lie outside the file."""
    home = cache_home(root)
    index = load_index(home)

    def probe_one(path: Path) -> Stored:
        name, stamp = _name(root, path), stamp_of(path)
        if path.is_dir():
            return Stored(name, path, stamp, _probe_images(path, config.image_fps or config.fps))
        return Stored(name, path, stamp, known_info(index, name, stamp) or probe(path))

    stored, broken = _attempt(paths, probe_one)
    fresh = {each.name: {each.stamp: asdict(each.info)} for each in stored if each.path.is_file()}
    if fresh != index:
        save_index(home, fresh)
    return stored, broken


def known_info(index: Mapping[str, Any], name: str, stamp: str) -> VideoInfo | None:
    """What the index says of a file, if that can be: it lies in the user's folder, and may have come with it."""
    try:
        info = VideoInfo(**index[name][stamp])
        counts = info.frames, info.height, info.width
        can_be = all(isinstance(each, int) for each in counts) and all(0 < each < MOST for each in (*counts, info.fps))
        return info if can_be else None
    except (KeyError, TypeError):
        return None


def _probe_images(folder: Path, fps: float) -> VideoInfo:
    images = files_in(folder)
    height, width, _ = read_image(images[0]).shape
    return VideoInfo(len(images), fps, height, width)


def _fit(stored: Stored, config: FolderConfig, maps: dict[str, Path]) -> Video:
    """A stored video in this configuration; a ZooError if it is too short or lacks its maps."""
    path, info = stored.path, stored.info
    length = max(1, round(info.frames / info.fps * config.fps))
    if length < config.frames:
        raise ZooError(
            f"{path} is shorter than a clip: {length} frames at data.fps={config.fps:g} "
            f"({info.frames} at {info.fps:g}), data.frames={config.frames}."
        )
    stem = stored.name if path.is_dir() else str(Path(stored.name).with_suffix(""))
    folders = {kind: _map_folder(stored, kind, top / stem) for kind, top in maps.items()}
    return Video(stored.name, path, stored.stamp, info, length, folders)


def _map_folder(stored: Stored, kind: str, folder: Path) -> MapFolder:
    pictures = len(files_in(folder)) if folder.is_dir() else 0
    if pictures != stored.info.frames:
        raise ZooError(f"{stored.path} has {stored.info.frames} frames; its {kind}, {folder}, are {pictures} images.")
    return MapFolder(folder, stamp_of(folder))


def _name(root: Path, path: Path) -> str:
    """Path under the root; the root itself, when it is a folder of frames, goes by its own name."""
    return root.resolve().name if path == root else path.relative_to(root).as_posix()


def _nothing_usable(root: Path, found: Found, skipped: tuple[str, ...]) -> str:
    reasons = [f"\n  {sentence}" for sentence in skipped[:SHOWN]]
    lead = f"None of the {len(found.videos)} videos" if found.videos else "No video"
    return f"{lead} under data.root={root} can be used. {found.summary()}{''.join(reasons)}"


def _attempt(items: list[S], step: Callable[[S], T]) -> tuple[list[T], list[str]]:
    """The step on every item, in threads: its results in order, and the sentences of those that failed."""

    def guarded(item: S) -> tuple[list[T], list[str]]:
        try:
            return [step(item)], []
        except ZooError as problem:
            return [], [str(problem)]
        except OSError as problem:
            return [], [f"{problem.filename} cannot be read: {problem.strerror}."]

    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(guarded, items))
    results = [result for good, _ in outcomes for result in good]
    return results, [sentence for _, bad in outcomes for sentence in bad]
