"""Videos whose names state their class: like the data set `folder`, with classes added. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from zoo.data.sequences.config import LabelledConfig
from zoo.data.sets.folder.catalogue import Catalogue, open_catalogue
from zoo.data.sets.folder.config import FolderConfig
from zoo.errors import joined
from zoo.types import FIELDS, ClipSpec

MAX_NAMES = 10
"""Maximal number of names in a message."""


@dataclass(frozen=True)
class Survey:
    """Summary that `python -m zoo.data.prepare` prints: a table of what was found, and notes."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def open_labelled_catalogue(config: LabelledConfig, frames: int, image_fps: float | None = None) -> Catalogue:
    """Open the usable videos under the root, of at least ``frames`` frames each. Raises ZooError if there are none."""
    folder = FolderConfig(
        name=config.name,
        root=config.root,
        frames=frames,
        height=config.height,
        width=config.width,
        fps=config.fps,
        channels=config.channels,
        flow=config.flow,
        flow_weights=config.flow_weights,
        val_share=config.val_share,
        condition="none" if config.condition == "auto" else config.condition,
        image_fps=image_fps,
    )
    return open_catalogue(folder)


def build_labelled_spec(
    config: LabelledConfig, catalogue: Catalogue, attributes: Mapping[str, Sequence[str]], width: int | None = None
) -> ClipSpec:
    """Spec of the clips, with these attributes; ``width`` overrides that of the folder."""
    spec = catalogue.spec()
    return replace(
        spec,
        fields=tuple(name for name in FIELDS if name == "attributes" or name in spec.fields),
        frames=config.frames,
        width=width or spec.width,
        attributes={name: tuple(values) for name, values in attributes.items()},
        constant=tuple(attributes),
    )


def abbreviate(names: Sequence[str]) -> str:
    """Join names for a message, and state how many more there are."""
    return joined(names[:MAX_NAMES]) + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")


def describe_formats(catalogue: Catalogue) -> str:
    """Describe the sizes and frame rates of the stored videos, with the number of videos of each."""
    kinds: dict[str, int] = {}
    for video in catalogue.videos:
        kind = f"{video.info.width}x{video.info.height} at {video.info.fps:.4g} fps"
        kinds[kind] = kinds.get(kind, 0) + 1
    return abbreviate([f"{number} of {kind}" for kind, number in sorted(kinds.items(), key=lambda item: -item[1])])
