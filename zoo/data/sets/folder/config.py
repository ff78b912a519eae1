"""Card and settings of the data set `folder`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import FootageConfig
from zoo.fields.ranges import FrameRate, NonNegativeInt, Range

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

    Every frame is scaled to cover height x width and centre-cropped. A width of None follows the aspect ratio of the
    first video, rounded to a multiple of 16.
    """

    name: str = "folder"

    condition: str = "none"
    """Content of the field `condition`, computed from the frames: none, edges (Canny) or distance (edges, and each
    pixel's distance to the nearest one)."""

    labels: str | None = None
    """Folder of label maps, inside root or beside it: for each video a folder of its name (without suffix) with one PNG
    of class ids a frame. Needs label_names or label_count. None: no labels."""

    instances: str | None = None
    """Folder of instance maps, in the same layout. None: no instances."""

    label_names: list[str] = field(default_factory=list)
    """Names of the classes in the order of their ids. Empty: numbers, see label_count."""

    label_count: Annotated[int, Range(1, 65_536)] | None = None
    """Number of classes, if they have no names. None: as many as label_names."""

    ignore: list[NonNegativeInt] = field(default_factory=list)
    """Ids in label maps that are no class, such as 255 for pixels that nobody labelled. They are in no class of the map
    that a model sees, in no loss of labels and in no mIoU."""

    foreground: list[str] = field(default_factory=list)
    """Classes that move in front of the others, by name or id; vid2vid's foreground branch generates them."""

    image_fps: FrameRate | None = None
    """Frame rate of folders of frames, frames per second. None: every frame is used, at fps."""

    def spec(self) -> ClipSpec:
        """Find and probe the files; the results are cached in ``<root>/.zoo``. Raises ZooError if none is usable."""
        from zoo.data.sets.folder.catalogue import open_catalogue

        return open_catalogue(self).spec()
