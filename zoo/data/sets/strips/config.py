"""Card and settings of the data set `strips`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import LabelledConfig
from zoo.fields.ranges import Frames, PositiveInt, Range

if TYPE_CHECKING:
    from zoo.types import ClipSpec


CARD = DataCard(
    name="strips",
    title="A folder of strips: the frames of a video in one image, as MoCoGAN and VGAN store them",
    fields=frozenset({"video", "attributes", "condition", "flow", "visibility"}),
    licence="that of the videos",
)


@register_data(CARD, builds=".clips:StripClips")
@dataclass
class StripsConfig(LabelledConfig):
    """Images whose square frames stand side by side or one above the other; all strips have frames of one size.

    The folder of a strip is its class, an attribute whose values are the folders' names in natural order (2 before 10).
    A strip without folder has no class.
    """

    name: str = "strips"

    frames: Frames = 16

    batch_size: Annotated[int, Range(1, 65_536)] = 16

    step: PositiveInt = 1
    """Spacing of the frames of a clip: every step-th frame of a strip. MoCoGAN's loader takes every second one, VGAN's
    every one."""

    attribute: str = "class"
    """Name of the attribute that the folders are the values of."""

    name_attributes: list[str] = field(default_factory=list)
    """Attributes that file names state, in their order: the words of a name between underscores. Further words are
    ignored, so with [person] the strip daria_wave1.png is of the person daria."""

    held_out: str = "strips"
    """What val_share and test_share are shares of: strips (of each class), or time (of every strip, its end, as for
    Weizmann)."""

    flip: bool = False
    """Training only: mirror half of the clips, chosen at random."""

    def spec(self) -> ClipSpec:
        """Find the strips and read their sizes. Raises ZooError if they are not as expected."""
        from zoo.data.sets.strips.find import find_strips

        return find_strips(self).spec
