"""Videos whose names tell their classes: opened as the data set `folder` does, classes added. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from zoo.data.sequences.config import LabelledConfig
from zoo.data.sets.folder.catalogue import Catalogue, open_catalogue
from zoo.data.sets.folder.config import FolderConfig
from zoo.errors import listed
from zoo.types import FIELDS, ClipSpec

SHOWN = 10
"""Names in one sentence."""


@dataclass(frozen=True)
class Survey:
    """What `python -m zoo.data.prepare` shows: the table of what there is, and sentences on what to know of it."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sentences: tuple[str, ...]


def labelled_catalogue(config: LabelledConfig, frames: int, image_fps: float | None = None) -> Catalogue:
    """The usable videos under the root, each of ``frames`` at least. A ZooError if there are none."""
    folder = FolderConfig(
        name=config.name,
        root=config.root,
        frames=frames,
        height=config.height,
        width=config.width,
        fps=config.fps,
        flow=config.flow,
        flow_weights=config.flow_weights,
        val_share=config.val_share,
        condition="none" if config.condition == "auto" else config.condition,
        image_fps=image_fps,
    )
    return open_catalogue(folder)


def labelled_spec(
    config: LabelledConfig, catalogue: Catalogue, attributes: Mapping[str, Sequence[str]], width: int | None = None
) -> ClipSpec:
    """The spec of the folder's clips with these attributes; ``width``, if it is not that of the folder."""
    spec = catalogue.spec()
    return replace(
        spec,
        fields=tuple(name for name in FIELDS if name == "attributes" or name in spec.fields),
        frames=config.frames,
        width=width or spec.width,
        attributes={name: tuple(values) for name, values in attributes.items()},
        constant=tuple(attributes),
    )


def few(names: Sequence[str]) -> str:
    """Names for a sentence, and how many more there are."""
    return listed(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def kinds_of_video(catalogue: Catalogue) -> str:
    """Sizes and frame rates of the stored videos, each with its number."""
    kinds: dict[str, int] = {}
    for video in catalogue.videos:
        kind = f"{video.info.width}x{video.info.height} at {video.info.fps:.4g} fps"
        kinds[kind] = kinds.get(kind, 0) + 1
    return few([f"{number} of {kind}" for kind, number in sorted(kinds.items(), key=lambda item: -item[1])])
