"""Source and summary for `python -m zoo.data.prepare strips`. Imports no torch."""

from __future__ import annotations

from zoo.data.sequences.labelled import Survey
from zoo.data.sequences.split import Segment
from zoo.data.sets.strips.config import StripsConfig
from zoo.data.sets.strips.find import find_strips
from zoo.data.sets.strips.names import LAYOUT
from zoo.types import Split

SOURCE = (
    "MoCoGAN's release has two folders of strips, data/shapes and data/actions; VGAN stores its stabilised clips as "
    f"strips of 128 pixels, one frame above the other. Any such folder will do. It takes {LAYOUT}. The zoo downloads "
    "nothing."
)


def survey(config: StripsConfig) -> tuple[Survey, list[Segment]]:
    """Count the strips of every value of every attribute in every split; returns the training segments, too."""
    found = find_strips(config)
    splits: tuple[Split, ...] = ("train", "val", *(("test",) if config.test_share else ()))
    segments = {split: found.segments(split) for split in splits}
    used = {split: [found.attributes[part.footage.video.name] for part in parts] for split, parts in segments.items()}
    rows = [("strips", "", *(str(len(parts)) for parts in segments.values()))]
    for name, values in found.spec.attributes.items():
        for number, value in enumerate(values):
            counts = (str(sum(each[name] == number for each in used[split])) for split in splits)
            rows.append((name, value, *counts))
    lengths = sorted(strip.length for strip in found.strips)
    side = found.strips[0].side
    title = f"{len(lengths)} strips of {lengths[0]} to {lengths[-1]} frames of {side}x{side} pixels in {found.root}"
    notes = dict.fromkeys(note for split in splits for note in found.notes(split))
    return Survey(title, ("attribute", "value", *splits), tuple(rows), tuple(notes)), segments["train"]
