"""Source and summary for `python -m zoo.data.prepare bair`. Imports no torch."""

from __future__ import annotations

from zoo.data.sequences.labelled import Survey
from zoo.data.sequences.split import Segment
from zoo.data.sets.bair.config import BAIRConfig
from zoo.data.sets.bair.find import find_bair
from zoo.data.sets.bair.names import FRAMES, LAYOUT, TEST, TRAINING
from zoo.data.sets.bair.sources import RecordedTrajectory
from zoo.types import Split

SOURCE = (
    "BAIR robot pushing is on the page `Self-Supervised Visual Planning with Temporal Skip Connections` (Ebert, Finn, "
    f"Lee, Levine): an archive of 30 GB, bair_robot_pushing_dataset_v0.tar; unpack it with a tool of your own. It "
    f"takes {LAYOUT}. The zoo needs no TensorFlow, and downloads nothing."
)


def survey(config: BAIRConfig) -> tuple[Survey, list[Segment]]:
    """Count the videos of every split; returns the summary and the training segments."""
    found = find_bair(config)
    splits: tuple[Split, ...] = ("train", "val", *(("test",) if config.val_share else ()))
    segments = {split: found.segments(split) for split in splits}
    recorded = isinstance(found.training[0], RecordedTrajectory)
    rows = (("videos", *(str(len(parts)) for parts in segments.values())),)
    title = (
        f"{len(found.training) + len(found.tested):,} videos of {found.training[0].length} frames in {found.root}, "
        f"{'TFRecord files, with actions' if recorded else 'folders of PNG files, without actions'}"
    )
    published = f"Published: {TRAINING:,} training and {TEST} test videos of {FRAMES} frames of 64x64 pixels."
    return Survey(title, ("", *splits), rows, (published, *found.notes())), segments["train"]
