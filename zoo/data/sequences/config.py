"""The settings of data sets that read footage from files. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from zoo.data.base import DataConfig

if TYPE_CHECKING:
    from zoo.card import ModelCard
    from zoo.data.sequences.collection import Collection
    from zoo.types import ClipSpec


@dataclass(frozen=True)
class Layout:
    """How the folder of a data set looks. marks: names, one of which at least stands directly under the root."""

    marks: tuple[str, ...]
    text: str  # for a sentence: it takes …


KEPT = {
    "all": frozenset({"frames", "flow"}),
    "frames": frozenset({"frames"}),
    "flow": frozenset({"flow"}),
    "none": frozenset[str](),
}


@dataclass
class FootageConfig(DataConfig):
    """Footage under a folder ``root``.

    flow: none, dis, raft_small or raft_large, the last two with a local file ``flow_weights``. val_share: the share
    kept for evaluation where the data set itself sets nothing apart, of the videos, or of the time when there is
    one video. cache: what is kept in ``<root>/.zoo`` once it is made: frames (and maps) at the clips' size, flow, all
    of it, or none. A frame takes 3 bytes a pixel, its flow 6; what is not kept is made again for every clip.
    """

    root: str = ""
    flow: str = "dis"
    flow_weights: str | None = None
    val_share: float = 0.2
    cache: str = "all"

    @property
    def kept(self) -> frozenset[str]:
        """What is kept, of frames and flow."""
        return KEPT[self.cache]


@dataclass
class LabelledConfig(FootageConfig):
    """Videos whose names tell what they show: classes become attributes, constant in every clip.

    condition: none, or edges or distance, drawn from the frames; auto is edges for a model that translates, else none.
    """

    condition: str = "auto"

    def suited_to(self, card: ModelCard) -> LabelledConfig:
        """Resolve `condition=auto`."""
        if self.condition != "auto":
            return self
        return replace(self, condition="edges" if "translate" in card.tasks else "none")


@dataclass
class SequenceConfig(FootageConfig):
    """Sequences of frames, a file each, with files of maps beside them; every frame is taken.

    Frames and maps are scaled to cover height x width and centre-cropped. max_step: in training, the spacing between
    the frames of a clip is drawn from 1 to this. flip: whether every other training clip, drawn, is mirrored.
    """

    max_step: int = 1
    flip: bool = True

    layout: ClassVar[Layout]

    def collection(self) -> Collection:
        """The sequences under the root; raises ZooError with a sentence when they are not as expected."""
        raise NotImplementedError

    def spec(self) -> ClipSpec:
        """Finds the files and reads the first of each kind. A ZooError if there is nothing to train on."""
        collection = self.collection()
        collection.pool("train")
        return collection.spec
