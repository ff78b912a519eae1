"""Read the published list of sequences, `<video> frames <first>-<last>, <first>-<last>`, counted from 1. No torch."""

from __future__ import annotations

import re
from pathlib import Path

from zoo.data.sets.kth.names import LIST
from zoo.errors import ZooError
from zoo.io.bounded import read_bounded_text

MOST_BYTES = 1 << 20
"""Largest size of the list; the published one has 38 kB."""
LINE = re.compile(r"(person\d\d_[a-z]+_d\d)\s+(.*)")
SPANS = re.compile(r"frames\s+\d+-\d+(\s*,\s*\d+-\d+)*")
SPAN = re.compile(r"(\d+)-(\d+)")
MISSING = "*missing*"
Spans = tuple[tuple[int, int], ...]


def read_sequences(path: Path) -> dict[str, Spans]:
    """Map the name of each video, such as person01_boxing_d1, to its sequences: first frame, and that after the last.

    Frames count from 0. Sequences are kept as listed; some overlap by a frame or a hundred. The text before the list,
    and videos that it calls missing, are passed over. Raises ZooError for a line that is neither.
    """
    try:
        text = read_bounded_text(path, MOST_BYTES, errors="replace")
    except OSError as problem:
        raise ZooError(f"{path} cannot be read: {problem.strerror}.") from problem
    found: dict[str, Spans] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = LINE.fullmatch(line.strip())
        if match is None or match[2] == MISSING:
            continue
        spans = tuple((int(first) - 1, int(last)) for first, last in SPAN.findall(match[2]))
        if not SPANS.fullmatch(match[2]) or match[1] in found or any(not 0 <= first < last for first, last in spans):
            raise ZooError(
                f"{path}, line {number}: `{line.strip()}` is not of the form `{match[1]} frames 1-95, 96-185` with a "
                "line for each video. Get the published list again."
            )
        found[match[1]] = spans
    if not found:
        raise ZooError(f"{path} lists no sequence. Expected lines such as `person01_boxing_d1 frames 1-95, 96-185`.")
    return found


def find_list(typed: str, root: Path) -> Path:
    """Find the list: as typed, inside the root, or beside it. Raises ZooError if there is none."""
    places = [root / typed, root.parent / typed, Path(typed).expanduser()]
    for place in places:
        if place.is_file():
            return place
    searched = ", ".join(dict.fromkeys(str(place) for place in places))
    raise ZooError(
        f"data.sequences={typed}: there is no such file. Searched: {searched}. KTH's page has it as {LIST}, beside the "
        "archives of videos. For whole videos, of which many frames show nobody, type data.sequences=null"
    )
