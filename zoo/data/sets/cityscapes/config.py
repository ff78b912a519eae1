"""Card, settings and classes of the data set `cityscapes`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import Layout, SequenceConfig
from zoo.fields.ranges import FrameRate, Pixels

if TYPE_CHECKING:
    from zoo.data.sequences.collection import SequenceSet


CARD = DataCard(
    name="cityscapes",
    title="Cityscapes: street scenes of 50 cities, label maps and instances",
    fields=frozenset({"video", "labels", "instances", "flow", "visibility"}),
    licence="Cityscapes terms of use: non-commercial",
)
LAYOUT = Layout(
    marks=("leftImg8bit_sequence", "leftImg8bit", "gtFine"),
    text=(
        "<root>/leftImg8bit_sequence/<split>/<city>/<city>_<sequence>_<frame>_leftImg8bit.png with "
        "<root>/gtFine/<split>/<city>/<city>_<sequence>_<frame>_gtFine_labelIds.png, and optionally "
        "_gtFine_instanceIds.png beside that; <split> is train or val"
    ),
)


@register_data(CARD, builds="zoo.data.sequences.clips:SequenceClips")
@dataclass
class CityscapesConfig(SequenceConfig):
    """Runs of consecutive frames that each have a label map.

    The published gtFine annotates one frame in each snippet of 30, which is enough for frames=1; `leftImg8bit`, which
    contains those frames alone, is read if there is no `leftImg8bit_sequence`. Longer clips need the label maps of a
    segmenter, saved in the same layout.
    """

    name: str = "cityscapes"

    height: Pixels = 128

    fps: FrameRate = 17.0

    foreground: list[str] = field(default_factory=lambda: ["car"])
    """Classes that move in front of the others, by name or id; vid2vid's foreground branch generates them."""

    layout: ClassVar[Layout] = LAYOUT

    def collection(self) -> SequenceSet:
        """Find the runs of frames under the root. Raises ZooError if there are none."""
        from zoo.data.sets.cityscapes.find import find_sequences

        return find_sequences(self)
