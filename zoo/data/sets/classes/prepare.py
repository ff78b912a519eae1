"""Source and summary for `python -m zoo.data.prepare classes`. Imports no torch."""

from __future__ import annotations

from zoo.data.sequences.labelled import Survey, describe_formats
from zoo.data.sequences.split import Segment
from zoo.data.sets.classes.config import ClassesConfig
from zoo.data.sets.classes.find import find_classes
from zoo.data.sets.classes.names import LAYOUT
from zoo.types import Split

SOURCE = (
    "UCF-101 is on its page at the Center for Research in Computer Vision (CRCV), University of Central Florida: one "
    "archive of videos (unpack the .rar with a tool of your own) and one of lists, `ucfTrainTestlist`. KTH is on the "
    "page `Recognition of Human Actions` at KTH, Stockholm: six zip archives, one per action. Put zip archives in "
    f"<root>; this command unpacks them. It takes {LAYOUT}. The zoo downloads nothing."
)


def survey(config: ClassesConfig) -> tuple[Survey, list[Segment]]:
    """Count the videos of every class in every split; returns the summary and the training segments."""
    found = find_classes(config)
    splits: tuple[Split, ...] = ("train", "val", *(("test",) if config.test_list or config.test_share else ()))
    pools = {split: found.videos_for(split) for split in splits}
    counts = {split: [found.class_of(video.name) for video in videos] for split, videos in pools.items()}
    rows = tuple(
        (name, *(str(counts[split].count(number)) for split in counts)) for number, name in enumerate(found.names)
    )
    title = f"{len(found.catalogue.videos)} videos of {len(found.names)} classes in {found.catalogue.root}"
    notes = dict.fromkeys([*found.notes("train"), *found.notes("val")])
    stored = f"Stored: {describe_formats(found.catalogue)}."
    unreadable = [sentence for sentence in found.catalogue.skipped if sentence not in " ".join(notes)]
    return Survey(title, (config.attribute, *pools), rows, (stored, *notes, *unreadable)), found.segments("train")
