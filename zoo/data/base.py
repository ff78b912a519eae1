"""What a data set is: a card, a config of plain data, and clips by number. The cards import no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from zoo.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.card import ModelCard
    from zoo.types import Clip, ClipSpec, Split


@dataclass(frozen=True)
class DataCard:
    """What the zoo knows of a data set without opening it."""

    name: str
    """Short name, typed as data=<name>."""

    title: str
    """One line on the data set."""

    fields: frozenset[str]
    """Every field of a clip that it can provide under some setting; `DataConfig.spec` has those of a given setting."""

    licence: str
    """Licence of the data."""


PIECE = 32
"""Frames of a piece of a long clip."""
OTHERWISE_NAMED = frozenset(
    {"name", "frames", "height", "width", "fps", "batch_size", "workers", "labelled_fraction"}
    | {"root", "flow_weights", "cache"}
)
"""Settings that change no evaluation clip, or that a protocol has as fields of its own."""


@dataclass
class DataConfig:
    """The settings that every data set has."""

    name: str
    """Name of the data set."""

    frames: int = 8
    """Length of a training clip in frames."""

    height: int = 64
    """Height of a clip in pixels."""

    width: int | None = None
    """Width of a clip in pixels. None: by the data set's own aspect ratio."""

    fps: float = 12.5
    """Frame rate of a clip, frames per second."""

    batch_size: int = 4
    """Clips per process and step."""

    workers: int = 2
    """Number of data-loading processes; 0 loads in the training process."""

    labelled_fraction: float = 1.0
    """Share of the training videos that keep their attributes, 0 to 1; in the others attributes are unknown."""

    def spec(self) -> ClipSpec:
        """What the clips of this configuration will look like; opens a file at most, and needs no torch.

        Raises ZooError with a sentence when the data is not there or is not what was expected.
        """
        raise NotImplementedError

    def shaping(self) -> dict[str, Any]:
        """The settings that say which clips there are and what they show, beside those that a protocol names itself;
        where the files lie, and how they are loaded, is not among them."""
        return {name: value for name, value in asdict(self).items() if name not in OTHERWISE_NAMED}

    def suited_to(self, card: ModelCard) -> DataConfig:
        """This config with every choice that was left to the model made; most leave none."""
        return self


class ClipSet(ABC):
    """Clips by number. Nothing is remembered between calls: a clip is a pure function of its arguments."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of clips in this split: an epoch of training, or all there is to evaluate on."""

    @abstractmethod
    def clip(self, index: int, epoch: int, frames: int) -> Clip:
        """One clip without the batch axis, ``(T, ...)``; ``key`` is a plain string.

        index: 0 <= index < len(self). epoch: what may vary from pass to pass (where the clip starts) varies with
        it. frames: length of the clip. A clip of `val` that is read from files has ``content``, a checksum of what they
        hold (`zoo.data.sequences.files.content_of`): it tells apart data sets of the same names.
        """

    def pieces(self, index: int, frames: int) -> Iterator[Clip]:
        """An evaluation clip in consecutive pieces, for one that is too long for memory: those of PIECE frames at most
        where the data set can make them one by one, else the whole. What lies between two pieces has no flow."""
        yield self.clip(index, 0, frames)


def spans(frames: int) -> list[range]:
    """The frames of each piece of a clip of that length."""
    return [range(start, min(start + PIECE, frames)) for start in range(0, frames, PIECE)]


DATA_SETS: Registry[DataCard] = Registry("data set", package="zoo.data.sets", group="zoo.data")
register_data = DATA_SETS.register


def build_set(config: DataConfig, split: Split, fields: frozenset[str], seed: int) -> ClipSet:
    """Open one split of a data set. ``fields``: those wanted beside ``video``; no other is computed.

    ``seed`` drives what varies in training; the clips of the split ``val`` are the same for every seed.
    """
    return DATA_SETS.find(config.name).load()(config, split, fields, seed)  # type: ignore[no-any-return]
