"""Card and settings of the data set `paired`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import Layout, SequenceConfig
from zoo.fields.ranges import NonNegativeInt, Range

if TYPE_CHECKING:
    from zoo.data.sequences.collection import SequenceSet

CARD = DataCard(
    name="paired",
    title="Frames beside their maps: train_A, train_B",
    fields=frozenset({"video", "labels", "instances", "condition", "flow", "visibility"}),
    licence="that of the videos",
)
LAYOUT = Layout(
    marks=("train_A", "train_B"),
    text=(
        "<root>/train_A/<sequence>/ with one map per frame, <root>/train_B/<sequence>/ with the frames, optionally "
        "<root>/train_inst/<sequence>/ with instance ids; and the same with val_ "
        "for validation and test_ for testing (test_ alone is for "
        "validation)"
    ),
)


@register_data(CARD, builds=".clips:PairedClips")
@dataclass
class PairedConfig(SequenceConfig):
    """``{train,test}_A/<sequence>/*.png`` beside ``{train,test}_B/<sequence>/*``, optionally ``{train,test}_inst``.

    Every folder with files is a sequence; files are paired by their names. Validation clips are under
    `val_`, and test clips under `test_`, which is for validation if there is no `val_`. Without either,
    ``val_share`` is held out.
    """

    name: str = "paired"

    maps: str = "labels"
    """Content of the A folders: labels (one channel of class ids; needs label_names or label_count) or drawings (colour
    images, which become the condition)."""

    condition: str = "none"
    """Content of the field `condition`, computed from the frames: none, edges (Canny) or distance (edges, and each
    pixel's distance to the nearest one). With edges or distance A is read only if label_names or label_count is set."""

    label_names: list[str] = field(default_factory=list)
    """Names of the classes in the order of their ids. Empty: numbers, see label_count."""

    label_count: Annotated[int, Range(1, 65_536)] | None = None
    """Number of classes, if they have no names. None: as many as label_names."""

    ignore: list[NonNegativeInt] = field(default_factory=list)
    """Ids in label maps that are no class, such as 255 for pixels that nobody labelled. They are in no class of the map
    that a model sees, in no loss of labels and in no mIoU."""

    foreground: list[str] = field(default_factory=list)
    """Classes that move in front of the others, by name or id; vid2vid's foreground branch generates them."""

    layout: ClassVar[Layout] = LAYOUT

    def collection(self) -> SequenceSet:
        """Find the sequences under the root. Raises ZooError if settings and files do not match."""
        from zoo.data.sets.paired.find import find_sequences

        return find_sequences(self)
