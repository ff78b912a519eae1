"""Card and settings of the data set `kth`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import LabelledConfig
from zoo.data.sets.kth.names import LIST
from zoo.fields.ranges import FrameRate, Frames, Range

if TYPE_CHECKING:
    from zoo.types import ClipSpec


CARD = DataCard(
    name="kth",
    title="KTH: 25 people, six actions (Recognition of Human Actions)",
    fields=frozenset({"video", "attributes", "condition", "flow", "visibility"}),
    licence="not stated by its authors: ask them for more than research",
)


@register_data(CARD, builds=".clips:KTHClips")
@dataclass
class KTHConfig(LabelledConfig):
    """Grey videos of 25 people who do six actions in four scenarios, each cut into sequences by the published list.

    The people held out are for test. The defaults are SVG's setting at 64 pixels, 10 given frames and 10 to predict.
    """

    name: str = "kth"

    frames: Frames = 20

    fps: FrameRate = 25.0

    channels: Annotated[int, Range(1, 3)] = 1
    """Channels of the video: 1 (grey, as recorded) or 3 (the same three times)."""

    batch_size: Annotated[int, Range(1, 65_536)] = 16

    people: str = "svg"
    """Who is held out for test. svg: persons 21 to 25, as in SVG, SRVP and MCVD. predrnn: persons 17 to 25, as in
    PredRNN and OpenSTL. published: nine people, and eight others for validation, as the authors of KTH did."""

    sequences: str | None = LIST
    """File with the published list of sequences, as typed, inside the root or beside it. None: whole videos, of which
    many frames show nobody."""

    resize: str = "stretch"
    """How 160 x 120 pixels become a clip. stretch: both sides are scaled by themselves, as published, so people are
    slimmer. cover: the largest window of the clip's aspect ratio."""

    val_share: Annotated[float, Range(least=0, below=1)] = 0.1
    """Share of the people for training that is held out for validation, 0 to 1. 0: all of them train, as published,
    and the people held out are for validation, so there is no test split. Of no matter with people=published."""

    def spec(self) -> ClipSpec:
        """Find and probe the files; the results are cached in ``<root>/.zoo``. Raises ZooError if none is usable."""
        from zoo.data.sets.kth.find import find_kth

        return find_kth(self).spec
