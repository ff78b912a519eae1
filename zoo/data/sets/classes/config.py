"""Card and settings of the data set `classes`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import LabelledConfig

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
    """Videos whose folder is their class: one attribute, whose values are the folders' names in sorted order.

    attribute: what it is called. train_list, val_list: files that say which videos are for what, in the format of
    UCF-101, ``<class>/<video>`` a line and maybe the number of the class behind it; with one of them the rest is for
    the other split. Without lists ``val_share`` of each class is held out; clips of one source, which differ only in
    a ``_c<number>`` at the end of their name, stay together. image_fps: frame rate of folders of frames; None takes
    every frame.
    """

    name: str = "classes"
    attribute: str = "class"
    train_list: str | None = None
    val_list: str | None = None
    image_fps: float | None = None

    def spec(self) -> ClipSpec:
        """Finds and probes the files; the answers are kept in ``<root>/.zoo``, so a second time is quick."""
        from zoo.data.sets.classes.find import find

        return find(self).spec
