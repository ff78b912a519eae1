"""What `python -m zoo.data.prepare weizmann` says of the set. Imports no torch."""

from __future__ import annotations

from collections import Counter

from zoo.data.sequences.labelled import Survey, kinds_of_video
from zoo.data.sequences.split import Stretch
from zoo.data.sets.weizmann.config import WeizmannConfig
from zoo.data.sets.weizmann.find import find
from zoo.data.sets.weizmann.names import ACTIONS, PEOPLE

SOURCE = (
    "Weizmann comes from the home page of `Actions as Space-Time Shapes` (Gorelick, Blank, Shechtman, Irani, Basri) at "
    "the Weizmann Institute of Science: ten zip archives, one an action. Put them in <root>; they are unpacked here. "
    "Nothing is downloaded by the zoo."
)


def survey(config: WeizmannConfig) -> tuple[Survey, list[Stretch]]:
    """Videos of every person and action, and the stretches to train on."""
    found = find(config)
    counts = Counter((who["identity"], who["action"]) for who in found.attributes.values())
    rows = tuple(
        (name, *(str(counts[person, action] or "-") for action in range(len(ACTIONS))))
        for person, name in enumerate(PEOPLE)
    )
    title = f"{len(found.videos)} of 93 videos in {found.catalogue.root}"
    notes = dict.fromkeys([*found.notes("train"), *found.notes("val")])
    stored = kinds_of_video(found.catalogue)
    published = f"Stored: {stored}; published as 93 of 180x144 at 25 fps."
    return Survey(title, ("", *ACTIONS), rows, (published, *notes)), found.stretches("train")
