"""Source and summary for `python -m zoo.data.prepare kth`. Imports no torch."""

from __future__ import annotations

from collections import Counter

from zoo.data.sequences.labelled import Survey, describe_formats
from zoo.data.sequences.split import Segment
from zoo.data.sets.kth.config import KTHConfig
from zoo.data.sets.kth.find import find_kth, people_of
from zoo.data.sets.kth.names import ACTIONS, LIST, SEQUENCES, VIDEOS
from zoo.types import Split

SOURCE = (
    "KTH is on the page `Recognition of Human Actions` (Schuldt, Laptev, Caputo) at KTH, Stockholm: six zip archives, "
    f"one per action, and the list of sequences, {LIST}. Put them in <root>; this command unpacks the archives. "
    "The zoo downloads nothing."
)
COUNTS = (
    "PredRNN and OpenSTL state 108,717 training and 4,086 test clips of sliding windows. Nobody has reproduced these "
    "counts; results of other counts can be compared as long as people, frames, size and metrics agree."
)


def survey(config: KTHConfig) -> tuple[Survey, list[Segment]]:
    """Count the sequences of every action in every split; returns the summary and the training segments."""
    found = find_kth(config)
    people = people_of(config)
    splits: tuple[Split, ...] = ("train", "val", *(("test",) if "test" in people.values() else ()))
    segments = {split: found.segments(split) for split in splits}
    attributes = found.attributes
    counts = {
        split: Counter(attributes[each.footage.video.name]["action"] for each in parts)
        for split, parts in segments.items()
    }
    rows = [(name, *(str(counts[split][number]) for split in splits)) for number, name in enumerate(ACTIONS)]
    rows.append(("sequences", *(str(len(segments[split])) for split in splits)))
    rows.append(("people", *(str(sum(part == split for part in people.values())) for split in splits)))
    listed = sum(len(spans) for spans in (found.spans or {}).values())
    source = f"{listed} sequences listed, {SEQUENCES} in the published list" if found.spans else "whole videos"
    title = f"{len(found.catalogue.videos)} of {VIDEOS} videos in {found.catalogue.root}; {source}"
    stored = f"Stored: {describe_formats(found.catalogue)}; published at 160x120 and 25 fps."
    notes = dict.fromkeys([stored, COUNTS, *(note for split in splits for note in found.notes(split))])
    return Survey(title, ("action", *splits), tuple(rows), tuple(notes)), segments["train"]
