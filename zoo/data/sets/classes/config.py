"""Card and settings of the data set `classes`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import LabelledConfig
from zoo.fields.ranges import FrameRate

if TYPE_CHECKING:
    from zoo.types import ClipSpec


CARD = DataCard(
    name="classes",
    title="A folder of videos for each class, such as UCF-101 and KTH",
    fields=frozenset({"video", "attributes", "condition", "flow", "visibility"}),
    licence="that of the videos",
)


@register_data(CARD, builds=".clips:ClassClips")
@dataclass
class ClassesConfig(LabelledConfig):
    """Videos whose folder is their class: one attribute, whose values are the folders' names in sorted order."""

    name: str = "classes"

    attribute: str = "class"
    """Name of the attribute."""

    train_list: str | None = None
    """File that lists the training videos in the format of UCF-101: <class>/<video> a line, optionally followed by the
    number of the class. With only one of the two lists all other videos belong to the other split. None: see
    val_list; without any list val_share of each class is held out, and clips of one source, whose names differ only
    in a _c<number> at the end, stay together."""

    val_list: str | None = None
    """File that lists the validation videos, in the same format. None: every video that is not in train_list; or
    val_share of each class without lists, or of the training videos with test_list."""

    test_list: str | None = None
    """File that lists the test videos, in the same format, such as testlist01.txt of UCF-101. None: test_share of each
    class, out of the training videos."""

    image_fps: FrameRate | None = None
    """Frame rate of folders of frames, frames per second. None: every frame is used, at fps."""

    def spec(self) -> ClipSpec:
        """Find and probe the files; the results are cached in ``<root>/.zoo``. Raises ZooError if none is usable."""
        from zoo.data.sets.classes.find import find_classes

        return find_classes(self).spec
