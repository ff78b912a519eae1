"""The usable videos of a folder, and the reason for each that is skipped. Imports no torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.cli import python_command
from zoo.data.decode import VideoInfo, probe, read_image
from zoo.data.sequences.cache import cache_folder, load_index, save_index
from zoo.data.sequences.checks import check_settings, require_root, resolve_class_names, resolve_foreground
from zoo.data.sequences.collection import proportional_width
from zoo.data.sequences.copies import find_copies, find_links
from zoo.data.sequences.files import files_in, stamp_files
from zoo.data.sequences.find import LAYOUT, SearchResult, find_videos
from zoo.data.sequences.frame_names import frames_in, refuse_strips
from zoo.data.sequences.pairing import match_numbers, pair_files
from zoo.data.sets.folder.footage import FolderVideo, MapFolder, ProbedVideo, files_of
from zoo.data.transforms import DRAWN_CHANNELS
from zoo.errors import ZooError, check_choice
from zoo.types import ClipSpec

if TYPE_CHECKING:
    from zoo.data.sets.folder.config import FolderConfig

MAX_LISTED = 10
"""Maximal number of skipped files in a warning."""

MAX_VALUE = 1 << 26
"""Limit on the number of frames, the side in pixels and the frame rate of a video."""

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Catalogue:
    """The content of a folder for a configuration. skipped: messages. copies: videos with the content of an earlier one
    -> that one."""

    config: FolderConfig
    root: Path
    videos: tuple[FolderVideo, ...]
    skipped: tuple[str, ...]
    copies: dict[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    """Message about files that are neither videos nor images, if there are any."""

    @property
    def width(self) -> int:
        """The configured width, or that of the first video's aspect ratio, rounded to a multiple of 16."""
        first = self.videos[0].info
        return self.config.width or proportional_width(self.config.height, first.height, first.width)

    def spec(self) -> ClipSpec:
        """Describe the clips of this folder."""
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
            foreground=resolve_foreground(config.foreground, label_names(config)),
            condition_kind=config.condition,
            condition_channels=DRAWN_CHANNELS.get(config.condition, 0),
            channels=config.channels,
        )

    def notes(self) -> list[str]:
        """Messages to show once: what is skipped and what is cropped."""
        return [*self._describe_skipped(), *self._describe_sizes()]

    def _describe_skipped(self) -> Iterator[str]:
        if self.skipped:
            more = len(self.skipped) - MAX_LISTED
            rest = [f"... and {more} more: {python_command('zoo.data.check', f'root={self.root}')}"] if more > 0 else []
            lines = [f"{len(self.skipped)} skipped, {len(self.videos)} used in data.root={self.root}:"]
            yield "\n  ".join([*lines, *self.skipped[:MAX_LISTED], *rest])

    def _describe_sizes(self) -> Iterator[str]:
        names: dict[tuple[int, int], list[str]] = defaultdict(list)
        for video in self.videos:
            names[video.info.width, video.info.height].append(video.name)
        if len(names) > 1:
            sizes = ", ".join(f"{w}x{h} ({len(same)}, e.g. {same[0]})" for (w, h), same in names.items())
            yield (
                f"data.root={self.root} contains videos of {len(names)} sizes: {sizes}. "
                f"Each is scaled to cover {self.width}x{self.config.height} and centre-cropped."
            )


def label_names(config: FolderConfig) -> tuple[str, ...]:
    """Names of the classes by id; numbers if only a count is given; empty without labels."""
    if config.labels is None:
        return ()
    return resolve_class_names(f"data.labels={config.labels}", config.label_names, config.label_count)


def open_catalogue(config: FolderConfig) -> Catalogue:
    """Find, probe and check the videos. Raises ZooError if a setting is invalid or no video is usable."""
    check_settings(config)
    check_choice("data.condition", config.condition, ("none", *DRAWN_CHANNELS))
    label_names(config)
    root = require_root(config, "the videos", LAYOUT)
    maps = {
        kind: _find_map_root(root, kind, setting)
        for kind, setting in (("labels", config.labels), ("instances", config.instances))
        if setting is not None
    }
    found = find_videos(root, exclude=maps.values())
    stored, broken = _probe_all(root, found.videos, config)
    videos, unfit = _try_each(stored, lambda each: _match_settings(each, config, maps))
    links = find_links({video.name: video.files for video in videos})
    twice = [f"{root / name} is a link to {root / first}, which is used." for name, first in links.items()]
    left_out = _describe_left_out(found.videos)
    videos = [video for video in videos if video.name not in links]
    skipped = (*found.problems, *broken, *unfit, *twice, *left_out)
    if not videos:
        raise ZooError(_explain_nothing_usable(root, found, skipped))
    copies = find_copies({video.name: video.files for video in videos})
    return Catalogue(config, root, tuple(videos), skipped, copies, found.describe_others())


def _describe_left_out(paths: Sequence[Path]) -> list[str]:
    """Sentences about images that are no frames, such as `cover.jpg`, in the folders of frames among the paths."""
    sentences = []
    for path in paths:
        if path.is_dir():
            with suppress(ZooError, OSError):  # said before
                sentences.append(frames_in(path).describe_left_out())
    return [sentence for sentence in sentences if sentence]


def _find_map_root(root: Path, kind: str, setting: str) -> Path:
    """Find the folder of labels or instances: inside the root, beside it, or as typed. Raises ZooError if there is
    none."""
    places = [root / setting, root.parent / setting, Path(setting).expanduser()]
    for place in places:
        if place.is_dir():
            return place
    searched = ", ".join(dict.fromkeys(str(place) for place in places))
    raise ZooError(f"data.{kind}={setting}: there is no such folder. Searched: {searched}.")


def _probe_all(root: Path, paths: list[Path], config: FolderConfig) -> tuple[list[ProbedVideo], list[str]]:
    """Probe the files that are not in the index. Failures are not stored: their cause may lie outside the file."""
    home = cache_folder(root)
    index = load_index(home)

    def probe_one(path: Path) -> ProbedVideo:
        name, files = _name_under_root(root, path), files_of(path)
        stamp = stamp_files(files)
        if path.is_dir():
            return ProbedVideo(name, path, stamp, _probe_images(files, config.image_fps or config.fps), files)
        return ProbedVideo(name, path, stamp, cached_info(index, name, stamp) or probe(path), files)

    stored, broken = _try_each(paths, probe_one)
    fresh = {each.name: {each.stamp: asdict(each.info)} for each in stored if each.path.is_file()}
    if fresh != index:
        save_index(home, fresh)
    return stored, broken


def cached_info(index: Mapping[str, Any], name: str, stamp: str) -> VideoInfo | None:
    """Look up a file in the index; None if it is missing or implausible: the index may have come with the data."""
    try:
        info = VideoInfo(**index[name][stamp])
        counts = info.frames, info.height, info.width
        plausible = all(isinstance(each, int) for each in counts) and all(
            0 < each < MAX_VALUE for each in (*counts, info.fps, info.pixel)
        )
        return info if plausible else None
    except (KeyError, TypeError):
        return None


def _probe_images(images: Sequence[Path], fps: float) -> VideoInfo:
    height, width, _ = read_image(images[0]).shape
    refuse_strips(images[0].parent, height, width)
    return VideoInfo(len(images), fps, height, width)


def _match_settings(stored: ProbedVideo, config: FolderConfig, maps: dict[str, Path]) -> FolderVideo:
    """Apply the configuration to a stored video. Raises ZooError if it is too short or lacks its maps."""
    path, info = stored.path, stored.info
    length = max(1, round(info.frames / info.fps * config.fps))
    if length < config.frames:
        raise ZooError(
            f"{path} is shorter than a clip: {length} frames at data.fps={config.fps:g} "
            f"({info.frames} at {info.fps:g}), data.frames={config.frames}."
        )
    stem = stored.name if path.is_dir() else str(Path(stored.name).with_suffix(""))
    folders = {kind: _open_map_folder(stored, kind, top / stem) for kind, top in maps.items()}
    return FolderVideo(stored.name, path, stored.stamp, info, stored.files, length, folders)


def _open_map_folder(stored: ProbedVideo, kind: str, folder: Path) -> MapFolder:
    """Find the maps of a video: by the names of its frames, or in natural order without a gap for a video file."""
    maps = files_in(folder) if folder.is_dir() else []
    if not maps:
        raise ZooError(f"{stored.path} has {stored.info.frames} frames, but {folder} has 0 images of {kind}.")
    if stored.path.is_dir():
        files = pair_files({"frames": stored.files, kind: maps}, "frames")[kind]
    else:
        match_numbers(stored.info.frames, maps, stored.path, kind)
        files = tuple(maps)
    return MapFolder(folder, stamp_files(files), files)


def _name_under_root(root: Path, path: Path) -> str:
    """Path under the root; if the root itself is a folder of frames, its own name."""
    return root.resolve().name if path == root else path.relative_to(root).as_posix()


def _explain_nothing_usable(root: Path, found: SearchResult, skipped: tuple[str, ...]) -> str:
    reasons = [f"\n  {sentence}" for sentence in skipped[:MAX_LISTED]]
    lead = f"None of the {len(found.videos)} videos" if found.videos else "No video"
    return f"{lead} under data.root={root} can be used. {found.describe()}{''.join(reasons)}"


def _try_each(items: list[S], step: Callable[[S], T]) -> tuple[list[T], list[str]]:
    """Apply the step to every item, in threads; returns the results in order, and the messages of the failures."""

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
