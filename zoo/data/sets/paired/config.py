"""Card and settings of the data set `paired`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import Layout, SequenceConfig

if TYPE_CHECKING:
    from zoo.data.sequences.collection import Collection

CARD = DataCard(
    name="paired",
    title="Frames beside their maps: train_A, train_B",
    fields=frozenset({"video", "labels", "instances", "condition", "flow", "visibility"}),
    licence="that of the videos",
)
LAYOUT = Layout(
    marks=("train_A", "train_B"),
    text=(
        "<root>/train_A/<sequence>/ with a map a frame, <root>/train_B/<sequence>/ with the frames, if you have them "
        "<root>/train_inst/<sequence>/ with ids of instances; and the same under test_ or val_ to evaluate on"
    ),
)


@register_data(CARD, builds=".clips:PairedClips")
@dataclass
class PairedConfig(SequenceConfig):
    """``{train,test}_A/<sequence>/*.png`` beside ``{train,test}_B/<sequence>/*``, and maybe ``{train,test}_inst``.

    Every folder with files is a sequence; files are paired in the order of their numbers. What stands under `val_`,
    or else under `test_`, is for evaluation; without either, ``val_share`` is held out.

    maps: what A holds: labels (one channel, ids), which come with ``label_names`` or ``label_count``; or drawings
    (pictures in colour), which become the condition. condition: none, or edges or distance, drawn from the frames; A
    is then read as labels only if their names or count are given. foreground: classes, by name or id, that move
    before the rest.
    """

    name: str = "paired"
    maps: str = "labels"
    condition: str = "none"
    label_names: list[str] = field(default_factory=list)
    label_count: int | None = None
    foreground: list[str] = field(default_factory=list)

    layout: ClassVar[Layout] = LAYOUT

    def collection(self) -> Collection:
        """The sequences under the root."""
        from zoo.data.sets.paired.find import find

        return find(self)
