"""The recordings that clips were cut from, as published data sets state them in file names. Imports no torch."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

UCF = re.compile(r"(v_.+_g\d+)_c\d+")
"""UCF-101: v_<class>_g<group>_c<clip>. The groups of two classes are not of one recording."""
KTH = re.compile(r"(person\d+)_[a-z]+_d\d(?:_uncomp)?")
"""KTH: person<n>_<action>_d<scenario>. The published splits are of people, who do every action."""
KINETICS = re.compile(r"([\w-]{11})_\d{6}_\d{6}")
"""Kinetics: <id of the video on YouTube>_<first second>_<last second>."""
HMDB = re.compile(r"(.+)_[fhlu]_(?:cm|nm)_np\d_(?:ba|fr|le|ri)_(?:goo|med|bad)_\d+", re.IGNORECASE)
"""HMDB-51: <title>_<action>_<five properties>_<clip>."""


def source_of(name: str) -> str:
    """Name of the recording that a video was cut from, by its path under the root; the path itself if the name has none
    of the known forms."""
    path = PurePosixPath(name)
    stem = path.name.removesuffix(path.suffix) if len(path.suffix) <= 5 else path.name
    if match := UCF.fullmatch(stem):
        return path.with_name(match[1]).as_posix()
    if match := KTH.fullmatch(stem) or KINETICS.fullmatch(stem):
        return match[1]
    if match := HMDB.fullmatch(stem):
        return match[1].removesuffix(f"_{path.parent.name}")
    return name
