"""Card and settings of the data set `folder`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import FootageConfig

if TYPE_CHECKING:
    from zoo.types import ClipSpec

CARD = DataCard(
    name="folder",
    title="Any folder of videos",
    fields=frozenset({"video", "condition", "labels", "instances", "flow", "visibility"}),
    licence="that of the videos",
)


@register_data(CARD, builds=".clips:FolderClips")
@dataclass
class FolderConfig(FootageConfig):
    """Video files and folders of frames in any mix, anywhere under ``root``.

    Every frame is scaled to cover height x width and centre-cropped. A width of None follows the proportion
    of the first video, rounded to a multiple of 16.

    condition: none, edges (Canny), or distance (edges, and how far each pixel is from one). labels, instances:
    folders, inside ``root`` or beside it, that hold for each video a folder of its name (without suffix) with one PNG
    of ids a frame; labels come with ``label_names`` or ``label_count``, and ``foreground`` says which of them move
    before the rest, by name or id. image_fps: frame rate of folders of frames; None takes every frame.
    """

    name: str = "folder"
    condition: str = "none"
    labels: str | None = None
    instances: str | None = None
    label_names: list[str] = field(default_factory=list)
    label_count: int | None = None
    foreground: list[str] = field(default_factory=list)
    image_fps: float | None = None

    def spec(self) -> ClipSpec:
        """Finds and probes the files; the answers are kept in ``<root>/.zoo``, so a second time is quick."""
        from zoo.data.sets.folder.catalogue import open_catalogue

        return open_catalogue(self).spec()
