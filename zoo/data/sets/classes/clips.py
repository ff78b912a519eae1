"""Clips of the data set `classes`."""

from __future__ import annotations

import warnings

from zoo.data.sequences.clips import FootageClips
from zoo.data.sets.classes.config import ClassesConfig
from zoo.data.sets.classes.find import find_classes
from zoo.types import Split


class ClassClips(FootageClips):
    """Clips of whole videos, with the class of each."""

    def __init__(self, config: ClassesConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        found = find_classes(config)
        segments = found.segments(split)
        for note in found.notes(split):
            warnings.warn(note, stacklevel=2)
        names = [segment.footage.video.name for segment in segments]
        attributes = {name: {config.attribute: found.class_of(name)} for name in names}
        super().__init__(config, found.spec, segments, split, fields, seed, attributes=attributes)
