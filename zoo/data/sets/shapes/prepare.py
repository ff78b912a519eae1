"""Source and summary for `python -m zoo.data.prepare shapes`."""

from __future__ import annotations

from zoo.data.sequences.labelled import Survey
from zoo.data.sets.shapes.clips import ShapeClips
from zoo.data.sets.shapes.config import ShapesConfig
from zoo.data.sets.shapes.names import FOLDERS, LAYOUT, MOTIONS

SOURCE = (
    "Shapes are drawn, so nothing needs to be downloaded. MoCoGAN's own 8,000 clips are in the folder data/shapes of "
    f"its release; to use them, type root=<folder>. Layout: {LAYOUT}."
)


def summarise(config: ShapesConfig) -> Survey:
    """Count the clips of every split, and the strips of either motion. Raises ZooError for unusable files."""
    rows = []
    for split in config.splits:
        clips = ShapeClips(config, split, frozenset(), seed=0)
        found = [FOLDERS[path.parent.name] for path in clips.strips]
        counts = [str(found.count(motion)) if config.root else "" for motion in range(len(MOTIONS))]
        rows.append((split, *counts, str(len(clips))))
    title = f"Published strips in {config.root}" if config.root else "Shapes, drawn by the rules of MoCoGAN's"
    return Survey(title, ("", *MOTIONS, "clips"), tuple(rows), ())
