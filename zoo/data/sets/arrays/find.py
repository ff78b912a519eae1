"""Find the arrays under a root, what their axes and values mean, and the split of each video. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from zoo.data.decode import MAX_PIXELS
from zoo.data.sequences.cache import ArrayCache, cache_folder
from zoo.data.sequences.checks import check_settings, require_root
from zoo.data.sequences.collection import proportional_width
from zoo.data.sequences.copies import describe_copies, find_copies, find_links
from zoo.data.sequences.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, natural_order
from zoo.data.sequences.find import walk_once
from zoo.data.sequences.footage import Footage
from zoo.data.sequences.labelled import abbreviate
from zoo.data.sequences.split import Segment, assign_splits, explain_no_test, split_footage
from zoo.data.sets.arrays.axes import Axes, can_be_frames, check_order, find_axes, parse_axes
from zoo.data.sets.arrays.chunked import is_zarr
from zoo.data.sets.arrays.levels import Levels, find_levels
from zoo.data.sets.arrays.names import KNOWN_AXES, LAYOUT, SPLIT_WORDS
from zoo.data.sets.arrays.stored import StoredArray, is_array_file, list_arrays
from zoo.data.sets.arrays.video import ArrayVideo
from zoo.data.transforms import DRAWN_CHANNELS
from zoo.errors import ZooError, check_choice
from zoo.types import ClipSpec, Split

if TYPE_CHECKING:
    from zoo.data.sets.arrays.config import ArraysConfig

MOST_VIDEOS = 1_000_000
"""Largest number of videos, or images, under a root."""
IN_WORDS = re.compile(r"[-_./ ]+")


@dataclass(frozen=True)
class Arrays:
    """The videos of the arrays under a root. splits: by the name of an array that states its split; empty if videos are
    assigned by shares. left_out: arrays that cannot be frames."""

    config: ArraysConfig
    root: Path
    arrays: tuple[tuple[StoredArray, Axes], ...]
    levels: Levels
    spec: ClipSpec
    splits: Mapping[str, Split]
    left_out: tuple[str, ...]

    @property
    def videos(self) -> list[ArrayVideo]:
        """All videos, in order."""
        return [
            ArrayVideo(array, axes, self.levels, number)
            for array, axes in self.arrays
            for number in range(axes.size("N"))
        ]

    def segments(self, split: Split) -> list[Segment]:
        """The videos of a split that are as long as a clip. Raises ZooError if there are none."""
        cache, spec = ArrayCache(cache_folder(self.root)), self.spec
        footage = [
            Footage(video, spec.height, spec.width, spec.fps, cache, self.config.cached) for video in self.videos
        ]
        if len(footage) == 1:
            return [
                each for each in split_footage(footage, split, self.config, {}) if each.length >= self.config.frames
            ]
        splits = self._assign([each.video.name for each in footage])
        segments = [Segment(each, 0, each.video.length) for each in footage if splits[each.video.name] == split]
        if not segments and split == "test":
            raise explain_no_test(self.config)
        usable = [each for each in segments if each.length >= self.config.frames]
        if not usable:
            raise ZooError(self._explain_empty(split, segments))
        return usable

    def notes(self) -> list[str]:
        """Messages to show once: arrays that are left out and videos that are too short."""
        files = {array.name: [array.path] for array, _ in self.arrays if not array.key and array.path.is_file()}
        notes = describe_copies(find_copies(files), self.splits)
        if self.left_out:
            notes.append(f"Left out, because they cannot be frames: {abbreviate(self.left_out)}.")
        if short := [array.name for array, axes in self.arrays if axes.size("T") < self.config.frames]:
            notes.append(f"Left out, because a clip has {self.config.frames} frames: {abbreviate(short)}.")
        return notes

    def _assign(self, names: Sequence[str]) -> dict[str, Split]:
        """The split of each video: that of its array, or shares of all. Without arrays for validation, a share of those
        for training is for it."""
        config = self.config
        if not self.splits:
            return assign_splits(names, config.val_share, config.test_share)
        stated = {
            video: self.splits[array.name]
            for array, axes in self.arrays
            for video in (ArrayVideo(array, axes, self.levels, number).name for number in range(axes.size("N")))
        }
        training = [name for name in names if stated[name] == "train"]
        val_share = 0.0 if "val" in self.splits.values() else config.val_share
        return stated | assign_splits(training, val_share, config.test_share)

    def _explain_empty(self, split: Split, segments: Sequence[Segment]) -> str:
        config = self.config
        if not segments:
            return (
                f"data.root={config.root} has no video left for `{split}` out of {len(self.videos)}. Add videos, or "
                "name files by their split: train.npy, val.npy, test.npy."
            )
        longest = max(each.length for each in segments)
        if longest == 1 and not any("T" in axes.order for _, axes in self.arrays):
            return (
                f"{self.arrays[0][0].name} of shape {self.arrays[0][1].shape} has the axes {self.arrays[0][1].order}: "
                "these are images, clips of one frame. Type data.frames=1, for models that take a single frame; or, if "
                f"an axis counts frames, say which, such as data.axes={'T' + self.arrays[0][1].order[-3:]}"
            )
        setting = "data.frames" if split == "train" else "evaluation.frames"
        return (
            f"No video for `{split}` in data.root={config.root} has the {config.frames} frames of a clip; the longest "
            f"has {longest}. Type {setting}={longest}"
        )


def find_arrays(config: ArraysConfig) -> Arrays:
    """Find the arrays of a configuration. Raises ZooError if settings and files do not match."""
    check_settings(config)
    check_choice("data.condition", config.condition, ("auto", "none", *DRAWN_CHANNELS))
    root, files = _find_files(config)
    stored = [
        array
        for path in files
        for array in list_arrays(path, path.relative_to(root).as_posix())
        if config.array is None or array.key == config.array
    ]
    usable = [array for array in stored if can_be_frames(array.values.shape, config.axes)]
    if config.axes and len(stored) == 1:
        usable = stored  # the error about its axes says more
    left_out = [f"{array.name} {array.values.shape}" for array in stored if array not in usable]
    if not usable:
        raise ZooError(_explain_none(config, files, left_out))
    arrays = tuple((array, _axes_of(array, config)) for array in usable)
    _check_sizes(arrays)
    levels = Levels(*config.levels) if config.levels else find_levels(arrays)
    splits = _stated_splits(config, [array.name for array in usable])
    found = Arrays(config, root, arrays, levels, _build_spec(config, arrays), splits, tuple(left_out))
    found.segments("train")
    return found


def _find_files(config: ArraysConfig) -> tuple[Path, list[Path]]:
    """The folder for names and cache, and the files of arrays in natural order. Raises ZooError if there are none."""
    typed = Path(config.root).expanduser() if config.root else None
    if typed is not None and ((is_array_file(typed) and typed.is_file()) or (typed.is_dir() and is_zarr(typed))):
        return typed.parent, _without_unpacked([typed])
    if typed is not None and typed.is_file():
        raise ZooError(_explain_file(config, typed))
    root = require_root(config, "the arrays", LAYOUT)
    found: list[Path] = []
    for folder, names in walk_once(root):
        if not any(inner in folder.parents for inner in found):  # not a chunk of Zarr
            found += [folder] if is_zarr(folder) else [path for name in names if is_array_file(path := folder / name)]
    links = find_links({str(path): [path] for path in found if path.is_file()})
    found = [path for path in found if str(path) not in links]
    if not found:
        raise ZooError(_explain_no_files(config, root))
    return root, _without_unpacked(sorted(found, key=lambda path: [natural_order(Path(part)) for part in path.parts]))


def _without_unpacked(files: Sequence[Path]) -> list[Path]:
    """Files in order, with the arrays beside an archive in its place if it was unpacked."""
    kept: dict[Path, None] = {}
    for path in files:
        inner = sorted(path.with_suffix("").glob("*.npy")) if path.suffix.lower() == ".npz" else []
        kept |= dict.fromkeys(inner or [path])
    return list(kept)


def _axes_of(array: StoredArray, config: ArraysConfig) -> Axes:
    values = array.values
    if config.axes:
        return parse_axes(config.axes, values.shape, array.name)
    known = KNOWN_AXES.get(array.path.name)
    if known and len(known) == values.ndim:
        return parse_axes(known, values.shape, array.name)
    axes = find_axes(values.shape, array.name)
    check_order(values, axes, array.name)
    return axes


def _check_sizes(arrays: Sequence[tuple[StoredArray, Axes]]) -> None:
    for array, axes in arrays:
        if axes.size("H") * axes.size("W") > MAX_PIXELS:
            raise ZooError(
                f"The frames of {array.name} have {axes.size('W')}x{axes.size('H')} pixels; at most {MAX_PIXELS:,} "
                "are supported."
            )
    if (count := sum(axes.size("N") for _, axes in arrays)) > MOST_VIDEOS:
        raise ZooError(
            f"{arrays[0][0].name} and the other arrays contain {count:,} videos; at most {MOST_VIDEOS:,} are supported."
        )


def _stated_splits(config: ArraysConfig, names: Sequence[str]) -> dict[str, Split]:
    """The split that the name of each array states; empty unless one of them is for training.

    As in folders of phases, arrays for test are `val` if there are none for validation. Raises ZooError if some names
    state a split and others do not, and for a share of test videos beside arrays for test.
    """
    stated = {
        name: [SPLIT_WORDS[word] for word in IN_WORDS.split(name.lower()) if word in SPLIT_WORDS] for name in names
    }
    if not any(words == ["train"] for words in stated.values()):
        return {}
    if unclear := [name for name, words in stated.items() if len(set(words)) != 1]:
        raise ZooError(
            f"Some arrays in data.root={config.root} state their split in their names, but these do not: "
            f"{abbreviate(unclear)}. Put train, val or test into every name, or into none."
        )
    splits = {name: words[0] for name, words in stated.items()}
    if "val" not in splits.values():
        splits = {name: "val" if split == "test" else split for name, split in splits.items()}
    if config.test_share and "test" in splits.values():
        raise ZooError(
            f"data.test_share={config.test_share:g}, but data.root={config.root} has arrays for test. Leave "
            "data.test_share out."
        )
    return cast(dict[str, Split], splits)


def _build_spec(config: ArraysConfig, arrays: Sequence[tuple[StoredArray, Axes]]) -> ClipSpec:
    condition = "none" if config.condition == "auto" else config.condition
    present = {
        "video": True,
        "condition": condition != "none",
        "flow": config.flow != "none",
        "visibility": config.flow != "none",
    }
    first = arrays[0][1]
    return ClipSpec(
        fields=tuple(name for name, there in present.items() if there),
        frames=config.frames,
        height=config.height,
        width=config.width or proportional_width(config.height, first.size("H"), first.size("W")),
        fps=config.fps,
        condition_kind=condition,
        condition_channels=DRAWN_CHANNELS.get(condition, 0),
        channels=config.channels,
    )


def _explain_file(config: ArraysConfig, path: Path) -> str:
    kind = path.suffix.lower()
    if kind in IMAGE_SUFFIXES:
        return (
            f"data.root={config.root} is an image, not an array. For the images of a folder as clips of one frame, "
            f"type data=folder data.root={path.parent} data.frames=1"
        )
    if kind in VIDEO_SUFFIXES:
        return f"data.root={config.root} is a video, not an array. Type data=folder data.root={path.parent}"
    return f"data.root={config.root} has the suffix {kind or 'none'}. It takes {LAYOUT}."


def _explain_no_files(config: ArraysConfig, root: Path) -> str:
    names = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    images = sum(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in names)
    advice = (
        f" These are images: type data=folder data.root={root}, with data.frames=1 for clips of one frame."
        if images
        else ""
    )
    return (
        f"data.root={config.root} contains no file of arrays. It takes {LAYOUT}. Found there: "
        f"{abbreviate(names) or 'nothing'}.{advice}"
    )


def _explain_none(config: ArraysConfig, files: Sequence[Path], left_out: Sequence[str]) -> str:
    wanted = f" of the name data.array={config.array}" if config.array else ""
    seen = f" It contains {abbreviate(left_out)}." if left_out else ""
    return (
        f"None of the {len(files)} files in data.root={config.root} has an array of numbers{wanted} with two sides of "
        f"a frame.{seen} Expected: arrays of 2 to 5 axes, such as (videos, frames, height, width, channels)."
    )
