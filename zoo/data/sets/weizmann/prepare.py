"""Source and summary for `python -m zoo.data.prepare weizmann`. Imports no torch."""

from __future__ import annotations

from collections import Counter

from zoo.data.sequences.labelled import Survey, describe_formats
from zoo.data.sequences.split import Segment
from zoo.data.sets.weizmann.config import WeizmannConfig
from zoo.data.sets.weizmann.find import find_weizmann
from zoo.data.sets.weizmann.names import ACTIONS, PEOPLE

SOURCE = (
    "Weizmann is on the home page of `Actions as Space-Time Shapes` (Gorelick, Blank, Shechtman, Irani, Basri) at "
    "the Weizmann Institute of Science: ten zip archives, one per action. Put them in <root>; this command unpacks "
    "them. The zoo downloads nothing."
)


def survey(config: WeizmannConfig) -> tuple[Survey, list[Segment]]:
    """Count the videos of every person and action; returns the summary and the training segments."""
    found = find_weizmann(config)
    counts = Counter((who["identity"], who["action"]) for who in found.attributes.values())
    rows = tuple(
        (name, *(str(counts[person, action] or "-") for action in range(len(ACTIONS))))
        for person, name in enumerate(PEOPLE)
    )
    title = f"{len(found.videos)} of 93 videos in {found.catalogue.root}"
    notes = dict.fromkeys([*found.notes("train"), *found.notes("val")])
    stored = describe_formats(found.catalogue)
    published = f"Stored: {stored}; published as 93 of 180x144 at 25 fps."
    return Survey(title, ("", *ACTIONS), rows, (published, *notes)), found.segments("train")
