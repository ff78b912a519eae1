"""What `python -m zoo.data.prepare classes` says of a folder. Imports no torch."""

from __future__ import annotations

from zoo.data.sequences.labelled import Survey, kinds_of_video
from zoo.data.sequences.split import Stretch
from zoo.data.sets.classes.config import ClassesConfig
from zoo.data.sets.classes.find import find
from zoo.data.sets.classes.names import LAYOUT
from zoo.types import Split

SOURCE = (
    "UCF-101 comes from its page at the Center for Research in Computer Vision (CRCV), University of Central Florida: "
    "one archive of videos (unpack the .rar with a tool of your own) and one of lists, `ucfTrainTestlist`. KTH comes "
    "from the page `Recognition of Human Actions` at KTH, Stockholm: six zip archives, one an action. Put zip archives "
    f"in <root>; they are unpacked here. It takes {LAYOUT}. Nothing is downloaded by the zoo."
)


def survey(config: ClassesConfig) -> tuple[Survey, list[Stretch]]:
    """Videos of every class in both splits, and the stretches to train on."""
    found = find(config)
    splits: tuple[Split, ...] = ("train", "val")
    pools = {split: found.pool(split) for split in splits}
    counts = {split: [found.class_of(video.name) for video in videos] for split, videos in pools.items()}
    rows = tuple(
        (name, *(str(counts[split].count(number)) for split in counts)) for number, name in enumerate(found.names)
    )
    title = f"{len(found.catalogue.videos)} videos of {len(found.names)} classes in {found.catalogue.root}"
    notes = dict.fromkeys([*found.notes("train"), *found.notes("val")])
    stored = f"Stored: {kinds_of_video(found.catalogue)}."
    unreadable = [sentence for sentence in found.catalogue.skipped if sentence not in " ".join(notes)]
    return Survey(title, (config.attribute, *pools), rows, (stored, *notes, *unreadable)), found.stretches("train")
