"""Settings of the data sets that read footage from files. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from zoo.data.base import DataConfig
from zoo.fields.ranges import PositiveInt, Range, ShareBelowOne
from zoo.types import Split

if TYPE_CHECKING:
    from zoo.card import ModelCard
    from zoo.data.sequences.collection import SequenceSet
    from zoo.types import ClipSpec


@dataclass(frozen=True)
class Layout:
    """Layout of a data set's folder."""

    marks: tuple[str, ...]
    """Names of which at least one must be directly in the root folder."""

    text: str
    """Description of the folder, to follow "it takes" in an error message."""


CACHE_CHOICES = {
    "all": frozenset({"frames", "flow"}),
    "frames": frozenset({"frames"}),
    "flow": frozenset({"flow"}),
    "none": frozenset[str](),
}


@dataclass
class FootageConfig(DataConfig):
    """Settings of data sets that read videos or frames from a folder."""

    root: str = ""
    """Folder with the data. Required."""

    flow: str = "dis"
    """Optical flow estimator for the field `flow`: none, dis, raft_small or raft_large; both RAFTs need their weights
    in torch's cache or in flow_weights."""

    flow_weights: str | None = None
    """Weights file of raft_small or raft_large. None: the file in torch's cache; nothing is downloaded."""

    val_share: Annotated[float, Range(above=0, below=1)] = 0.2
    """Share held out for validation if the data set has no split of its own, between 0 and 1: a share of the videos,
    or of the duration if there is a single video."""

    test_share: ShareBelowOne = 0.0
    """Share held out for the split `test`, 0 to 1, in the same way; it is taken from the training part, so validation
    clips stay the same. 0: none, unless the data set has a test split of its own."""

    cache: str = "all"
    """Data cached in <root>/.zoo: frames (and maps, at the size of a clip), flow, all (both) or none. A frame takes 3
    bytes per pixel, its flow 6. What is not cached is computed again for every clip."""

    splits: ClassVar[tuple[Split, ...]] = ("train", "val", "test")

    @property
    def cached(self) -> frozenset[str]:
        """The kinds of data that are cached: frames, flow or both."""
        return CACHE_CHOICES[self.cache]


@dataclass
class LabelledConfig(FootageConfig):
    """Settings of data sets of labelled videos: a video's class is an attribute, constant in every clip."""

    condition: str = "auto"
    """Content of the field `condition`, computed from the frames: none, edges (Canny), distance (edges, and each
    pixel's distance to the nearest one), or auto (edges for a model that translates, else none)."""

    def suited_to(self, card: ModelCard) -> LabelledConfig:
        """Resolve `condition=auto`."""
        if self.condition != "auto":
            return self
        return replace(self, condition="edges" if "translate" in card.tasks else "none")


@dataclass
class SequenceConfig(FootageConfig):
    """Settings of data sets of frame sequences, one file per frame, with files of maps beside them.

    Every frame is used. Frames and maps are scaled to cover height x width and centre-cropped.
    """

    max_step: PositiveInt = 1
    """Training only: largest spacing between the frames of a clip; the spacing is drawn from 1 to this number."""

    flip: bool = True
    """Training only: mirror half of the clips, chosen at random."""

    layout: ClassVar[Layout]

    def collection(self) -> SequenceSet:
        """Find the sequences under the root. Raises ZooError if they are not as expected."""
        raise NotImplementedError

    def spec(self) -> ClipSpec:
        """Find the files and read the first of each kind. Raises ZooError if there is nothing to train on."""
        collection = self.collection()
        collection.usable("train")
        return collection.spec
