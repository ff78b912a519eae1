"""Card and settings of the data set `bair`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import LabelledConfig
from zoo.fields.ranges import Frames, Range

if TYPE_CHECKING:
    from zoo.types import ClipSpec


CARD = DataCard(
    name="bair",
    title="BAIR robot pushing: a robot arm among objects, with its actions (softmotion30_44k)",
    fields=frozenset({"video", "actions", "condition", "flow", "visibility"}),
    licence="not stated by its authors: ask them for more than research",
)


@register_data(CARD, builds=".clips:BAIRClips")
@dataclass
class BAIRConfig(LabelledConfig):
    """Videos of 30 frames of 64 x 64 pixels of a robot arm that pushes objects at random, and the four numbers of its
    action in every frame, which folders of PNG files lack.

    Clips of val and test are one a video, from its first frame on, as published. The defaults are SVG's setting: 2
    given frames and 10 to predict.
    """

    name: str = "bair"

    frames: Frames = 12

    batch_size: Annotated[int, Range(1, 65_536)] = 16

    camera: str = "aux1"
    """Which of the two cameras: aux1, as published, or main."""

    random_start: bool = True
    """Training only: begin at a random frame. False: at the first one, as SVG's loader does."""

    val_share: Annotated[float, Range(least=0, below=1)] = 0.02
    """Share of the training videos that is held out for validation, 0 to 1. 0: all of them train, as published, and
    the published test videos are for validation, so there is no test split."""

    cache: str = "flow"
    """Data cached in <root>/.zoo: frames, flow, all (both) or none. Frames are stored as they are shown, so they need
    no cache at 64 pixels."""

    def spec(self) -> ClipSpec:
        """Find the files and read the first video. Raises ZooError if they are not as expected."""
        from zoo.data.sets.bair.find import find_bair

        return find_bair(self).spec
