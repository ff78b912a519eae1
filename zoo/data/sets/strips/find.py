"""Find the strips under a root, read what their names state, and assign them to splits. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from zoo.data.sequences.cache import ArrayCache, cache_folder
from zoo.data.sequences.checks import check_settings, require_root
from zoo.data.sequences.copies import describe_copies, find_copies, find_links
from zoo.data.sequences.files import has_suffix, natural_order
from zoo.data.sequences.find import walk_once
from zoo.data.sequences.footage import Footage
from zoo.data.sequences.labelled import abbreviate
from zoo.data.sequences.split import Segment, explain_no_test, split_by_source, split_part
from zoo.data.sets.classes.find import hold_out_by_class
from zoo.data.sets.strips.names import HELD_OUT, LAYOUT, SUFFIXES
from zoo.data.sets.strips.strip import Strip, open_strip
from zoo.data.transforms import DRAWN_CHANNELS
from zoo.errors import ZooError, check_choice
from zoo.types import ClipSpec, Split

if TYPE_CHECKING:
    from zoo.data.sets.strips.config import StripsConfig


@dataclass(frozen=True)
class Strips:
    """The strips under a root. attributes: by the name of a strip, the id of the value of each attribute. copies: those
    with the content of an earlier one -> that one."""

    config: StripsConfig
    root: Path
    strips: tuple[Strip, ...]
    attributes: dict[str, dict[str, int]]
    spec: ClipSpec
    copies: Mapping[str, str]

    @property
    def span(self) -> int:
        """Frames of a strip from the first to the last one of a clip."""
        return (self.config.frames - 1) * self.config.step + 1

    def segments(self, split: Split) -> list[Segment]:
        """The parts of strips that belong to a split, each at least as long as a clip. Raises ZooError if there are
        none."""
        if split == "test" and not self.config.test_share:
            raise explain_no_test(self.config)
        parts = self._parts(split)
        usable = [part for part in parts if part.length >= self.span]
        if not usable:
            raise ZooError(self._explain_empty(split, parts))
        return usable

    def notes(self, split: Split) -> list[str]:
        """Messages to show once: parts that are shorter than a clip, and values without a strip in this split."""
        parts, notes = self._parts(split), []
        notes += describe_copies(self.copies, self._splits() if self.config.held_out == "strips" else None)
        if short := [part.footage.video.name for part in parts if part.length < self.span]:
            notes.append(
                f"{len(short)} of {len(parts)} strips are skipped in `{split}`: their part of it is shorter than the "
                f"{self.span} frames that a clip takes: {abbreviate(short)}."
            )
        used = [self.attributes[part.footage.video.name] for part in parts if part.length >= self.span]
        for name, values in self.spec.attributes.items():
            there = {each[name] for each in used}
            if missing := [value for number, value in enumerate(values) if number not in there]:
                notes.append(f"`{split}` has no strip of {name} {abbreviate(missing)}.")
        return notes

    def _parts(self, split: Split) -> list[Segment]:
        config, cache = self.config, ArrayCache(cache_folder(self.root))
        footage = [
            Footage(strip, self.spec.height, self.spec.width, config.fps * config.step, cache, config.cached)
            for strip in self.strips
        ]
        if config.held_out == "time":
            shares = config.val_share, config.test_share
            return [split_part(each, each.video.length, split, *shares) for each in footage]
        splits = self._splits()
        return [Segment(each, 0, each.video.length) for each in footage if splits[each.video.name] == split]

    def _splits(self) -> dict[str, Split]:
        names = [strip.name for strip in self.strips]
        return assign_strips(names, self.config.val_share, self.config.test_share, self.copies)

    def _explain_empty(self, split: Split, parts: Sequence[Segment]) -> str:
        if parts:
            longest = max(part.length for part in parts)
            most = (longest - 1) // self.config.step + 1
            return (
                f"No strip in data.root={self.config.root} has the {self.span} frames of a clip in `{split}`; the "
                f"longest part has {longest}. Try: data.frames={most}, or data.held_out=strips"
            )
        return (
            f"None of the {len(self.strips)} strips in data.root={self.config.root} is left for `{split}`: a class "
            "with a single strip is for training only. Add strips, or hold out their ends: data.held_out=time"
        )


def find_strips(config: StripsConfig) -> Strips:
    """Find the strips of a configuration. Raises ZooError if settings, names and files do not match."""
    _check_settings(config)
    root = require_root(config, "the strips", LAYOUT)
    paths = list_images(root)
    if not paths:
        raise ZooError(f"data.root={config.root} contains no image. It takes {LAYOUT}.")
    with ThreadPoolExecutor() as pool:
        strips = tuple(pool.map(lambda path: open_strip(path, root), paths))
    links = find_links({strip.name: [strip.path] for strip in strips})
    strips = tuple(strip for strip in strips if strip.name not in links)
    copies = find_copies({strip.name: [strip.path] for strip in strips})
    _check_sizes(strips)
    _check_lengths(strips, config)
    stated = {strip.name: read_name(strip.name, config) for strip in strips}
    _check_folders(stated, config)
    values = collect_values(stated)
    ids = {strip: {name: values[name].index(value) for name, value in each.items()} for strip, each in stated.items()}
    found = Strips(config, root, strips, ids, _build_spec(config, values), copies)
    found.segments("train")
    return found


def list_images(root: Path) -> list[Path]:
    """The images under a root in natural order, except in hidden folders."""
    found = [(folder / name).relative_to(root) for folder, names in walk_once(root) for name in names]
    shown = [path for path in found if has_suffix(path.name, SUFFIXES)]
    return [root / path for path in sorted(shown, key=lambda path: [natural_order(Path(part)) for part in path.parts])]


def read_name(name: str, config: StripsConfig) -> dict[str, str]:
    """Value of each attribute that the path of a strip under the root states. Raises ZooError if words are missing."""
    path = PurePosixPath(name)
    stated = {config.attribute: path.parts[0]} if len(path.parts) > 1 else {}
    words = [word for word in path.stem.split("_") if word]
    if len(words) < len(config.name_attributes):
        raise ZooError(
            f"The strip {name} should state {abbreviate(config.name_attributes)} in its name, as words between "
            f"underscores (data.name_attributes), but it has {len(words)}. Rename it, or name fewer attributes."
        )
    return stated | dict(zip(config.name_attributes, words, strict=False))


def collect_values(stated: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """All values of every attribute, in natural order: their order is that of the ids."""
    names = dict.fromkeys(name for each in stated.values() for name in each)
    return {
        name: tuple(sorted({each[name] for each in stated.values()}, key=lambda value: natural_order(Path(value))))
        for name in names
    }


def assign_strips(
    names: Sequence[str], val_share: float, test_share: float, copies: Mapping[str, str] | None = None
) -> dict[str, Split]:
    """Assign a split to each strip: shares of each class; without classes, of all."""
    if "/" in names[0]:
        return hold_out_by_class(names, val_share, test_share, copies)
    return split_by_source(names, val_share, test_share, copies)


def _build_spec(config: StripsConfig, attributes: Mapping[str, Sequence[str]]) -> ClipSpec:
    condition = "none" if config.condition == "auto" else config.condition
    present = {
        "video": True,
        "condition": condition != "none",
        "flow": config.flow != "none",
        "visibility": config.flow != "none",
        "attributes": bool(attributes),
    }
    return ClipSpec(
        fields=tuple(name for name, there in present.items() if there),
        frames=config.frames,
        height=config.height,
        width=config.width or config.height,
        fps=config.fps,
        condition_kind=condition,
        condition_channels=DRAWN_CHANNELS.get(condition, 0),
        attributes={name: tuple(values) for name, values in attributes.items()},
        constant=tuple(attributes),
        channels=config.channels,
    )


def _check_settings(config: StripsConfig) -> None:
    check_settings(config)
    check_choice("data.condition", config.condition, ("auto", "none", "edges", "distance"))
    check_choice("data.held_out", config.held_out, HELD_OUT)
    names = [config.attribute, *config.name_attributes]
    if not all(names) or len(set(names)) < len(names):
        raise ZooError(
            f"data.attribute={config.attribute} and data.name_attributes={config.name_attributes} must be different "
            "names, none of them empty. Try: data.attribute=action data.name_attributes=[person]"
        )


def _check_sizes(strips: Sequence[Strip]) -> None:
    """Raise ZooError unless the frames of all strips have one size."""
    sides: dict[int, list[str]] = {}
    for strip in strips:
        sides.setdefault(strip.side, []).append(strip.name)
    if len(sides) > 1:
        sizes = "; ".join(
            f"{side}x{side} in {len(names)}, such as {names[0]}"
            for side, names in sorted(sides.items(), key=lambda item: -len(item[1]))
        )
        raise ZooError(f"The frames of the strips have {len(sides)} sizes: {sizes}. Scale them to one size.")


def _check_lengths(strips: Sequence[Strip], config: StripsConfig) -> None:
    """Raise ZooError for strips that are shorter than a clip."""
    span = (config.frames - 1) * config.step + 1
    short = [f"{strip.name} ({strip.length})" for strip in strips if strip.length < span]
    if short:
        least = min(strip.length for strip in strips)
        most = (least - 1) // config.step + 1
        raise ZooError(
            f"{len(short)} of {len(strips)} strips in data.root={config.root} have fewer than the {span} frames that a "
            f"clip of {config.frames} frames takes at data.step={config.step}: {abbreviate(short)}. Move them away, or "
            f"type data.frames={most}."
        )


def _check_folders(stated: Mapping[str, Mapping[str, str]], config: StripsConfig) -> None:
    """Raise ZooError if some strips are in folders and others are not."""
    outside = [name for name, values in stated.items() if config.attribute not in values]
    if outside and len(outside) < len(stated):
        raise ZooError(
            f"{len(outside)} of {len(stated)} strips in data.root={config.root} are in no class's folder: "
            f"{abbreviate(outside)}. Move each into the folder of its class, or all into the root."
        )
