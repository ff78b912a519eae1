"""Card, settings and body parts of the data set `pose`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import Layout, SequenceConfig
from zoo.fields.ranges import ShareBelowOne

if TYPE_CHECKING:
    from zoo.data.sequences.collection import SequenceSet


CARD = DataCard(
    name="pose",
    title="People and their pose: train_img, train_openpose, train_densepose",
    fields=frozenset({"video", "condition", "labels", "pose", "flow", "visibility"}),
    licence="that of the videos",
)
LAYOUT = Layout(
    marks=("train_img", "train_openpose", "train_densepose"),
    text=(
        "<root>/train_img/<sequence>/ with the frames, beside <root>/train_openpose/<sequence>/*.json or "
        "<root>/train_densepose/<sequence>/*.png or both, with one file per frame; and the same with val_ "
        "for validation and test_ for testing (test_ alone is for validation)"
    ),
)


@register_data(CARD, builds=".clips:PoseClips")
@dataclass
class PoseConfig(SequenceConfig):
    """Frames beside OpenPose's keypoints (JSON, BODY_25), DensePose's images (I, U, V), or both.

    With DensePose `labels` are its parts; with OpenPose `pose` is the body of the first person.
    """

    name: str = "pose"

    flip: bool = False
    """Training only: mirror half of the clips, chosen at random. Left and right are not swapped: a right hand is then
    shown on the left and still called right, in frames, labels and drawings alike."""

    condition: str = "auto"
    """Content of the field `condition`: densepose (3 channels: part index, U, V), openpose (a skeleton drawn in 3
    channels), both (6 channels, densepose first), or auto (whatever is there)."""

    limb_dropout: ShareBelowOne = 0.05
    """Training only: probability that a drawn limb, or a part, is left out of the condition of a whole clip."""

    layout: ClassVar[Layout] = LAYOUT

    def collection(self) -> SequenceSet:
        """Find the sequences under the root. Raises ZooError if settings and files do not match."""
        from zoo.data.sets.pose.find import find_sequences

        return find_sequences(self)
