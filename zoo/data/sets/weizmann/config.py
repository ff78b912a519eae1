"""Card, settings and names of the data set `weizmann`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import LabelledConfig
from zoo.fields.ranges import FrameRate, Frames, PositiveInt, Range

if TYPE_CHECKING:
    from zoo.types import ClipSpec


CARD = DataCard(
    name="weizmann",
    title="Weizmann: nine people, ten actions (Actions as Space-Time Shapes)",
    fields=frozenset({"video", "attributes", "condition", "flow", "visibility"}),
    licence="not stated by its authors: ask them for more than research",
)


@register_data(CARD, builds=".clips:WeizmannClips")
@dataclass
class WeizmannConfig(LabelledConfig):
    """Videos of nine people and ten actions.

    Every person and action is in both splits: each video is split in time, and its last ``val_share`` is held out.

    The defaults are the protocol that two independent implementations of VideoVAE's experiment agree on.
    """

    name: str = "weizmann"

    frames: Frames = 10

    fps: FrameRate = 25.0

    val_share: Annotated[float, Range(above=0, below=1)] = 1 / 3
    """Share of each video, its end, that is held out for validation, between 0 and 1."""

    crop: str = "person"
    """Part of the frame: person (a square that contains the person, found by background subtraction, and moves along),
    centre (the largest square in the middle) or none (the whole frame, in its own aspect ratio unless width is set).
    Where a square reaches beyond the frame it is filled with the frame's mean colour."""

    starts: PositiveInt | None = 20
    """Clips of each training video, at evenly spaced starts. None: a clip at every possible start."""

    def spec(self) -> ClipSpec:
        """Find and probe the files; the results are cached in ``<root>/.zoo``. Raises ZooError if none is usable."""
        from zoo.data.sets.weizmann.find import find_weizmann

        return find_weizmann(self).spec
