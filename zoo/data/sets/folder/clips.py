"""Clips of the data set `folder`."""

from __future__ import annotations

import warnings

from zoo.data.sequences.cache import ArrayCache, cache_folder
from zoo.data.sequences.clips import FootageClips
from zoo.data.sequences.copies import describe_copies
from zoo.data.sequences.footage import Footage
from zoo.data.sequences.split import split_by_source, split_footage
from zoo.data.sets.folder.catalogue import open_catalogue
from zoo.data.sets.folder.config import FolderConfig
from zoo.types import Split


class FolderClips(FootageClips):
    """Clips of a folder's videos; warns about unusable files."""

    def __init__(self, config: FolderConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        catalogue = open_catalogue(config)
        for note in catalogue.notes():
            warnings.warn(note, stacklevel=2)
        spec = catalogue.spec()
        cache = ArrayCache(cache_folder(catalogue.root))
        size = spec.height, spec.width
        footage = [Footage(video, *size, config.fps, cache, config.cached) for video in catalogue.videos]
        names = [video.name for video in catalogue.videos]
        splits = split_by_source(names, config.val_share, config.test_share, catalogue.copies)
        for note in describe_copies(catalogue.copies, splits):
            warnings.warn(note, stacklevel=2)
        segments = split_footage(footage, split, config, splits)
        super().__init__(config, spec, segments, split, fields, seed)
