"""The interface of a data set: a card, a config and clips by index. Cards and configs import no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from zoo.data.selection import SPREAD
from zoo.errors import ZooError, joined
from zoo.fields.ranges import FrameRate, Frames, Pixels, Range, Share, check_ranges
from zoo.grey import to_grey
from zoo.registry import Registry
from zoo.types import Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zoo.card import ModelCard
    from zoo.types import Clip, ClipSpec


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


PIECE_FRAMES = 32
"""Maximal number of frames in one piece of a long evaluation clip."""
NOT_IN_PROTOCOL = frozenset(
    {"name", "frames", "height", "width", "fps", "batch_size", "workers", "labelled_fraction"}
    | {"root", "flow_weights", "cache"}
)
"""Settings that are not part of `DataConfig.shaping`: they leave the evaluation clips unchanged, or are fields of the
evaluation protocol themselves."""
LATER_SETTINGS: dict[str, Any] = {"channels": 3, "test_share": 0.0, "test_list": None, "ignore": []}
"""Settings, with their defaults, that are newer than the first protocols."""
CHANNELS = (3, 1)
"""Choices of `DataConfig.channels`."""


@dataclass
class DataConfig:
    """The settings that every data set has."""

    name: str
    """Name of the data set."""

    frames: Frames = 8
    """Length of a training clip in frames."""

    height: Pixels = 64
    """Height of a clip in pixels."""

    width: Pixels | None = None
    """Width of a clip in pixels. None: by the data set's own aspect ratio."""

    fps: FrameRate = 12.5
    """Frame rate of a clip, frames per second."""

    channels: Annotated[int, Range(1, 3)] = 3
    """Channels of the video: 3 (RGB) or 1 (grey, the luma of ITU-R BT.601). Conditions and flow are computed from RGB
    in any case."""

    batch_size: Annotated[int, Range(1, 65_536)] = 4
    """Clips per process and step."""

    workers: Annotated[int, Range(0, 256)] = 2
    """Number of data-loading processes; 0 loads in the training process."""

    labelled_fraction: Share = 1.0
    """Share of the training videos that keep their attributes, 0 to 1; in the others attributes are unknown."""

    splits: ClassVar[tuple[Split, ...]] = ("train", "val")
    """The splits that the data set can have. `test` are clips on which no default and no checkpoint was chosen."""

    @property
    def selection(self) -> str:
        """Rule by which the clips to measure are chosen, see `zoo.data.selection`.

        A data set whose clips are in random order already, so that the first ones represent the split, returns FIRST.
        """
        return SPREAD

    def __post_init__(self) -> None:
        """Raise ZooError for settings that no clip can have. A subclass with checks of its own calls this, too."""
        check_ranges(self, "data")
        if self.channels not in CHANNELS:
            raise ZooError(
                f"data.channels={self.channels} is not a choice. A video has 3 channels (RGB) or 1 (grey). "
                "Try: data.channels=3"
            )

    def spec(self) -> ClipSpec:
        """Describe the clips of this configuration; its ``channels`` are those of the settings. Opens at most one file
        and imports no torch.

        Raises ZooError if the data is missing or not in the expected form.
        """
        raise NotImplementedError

    def shaping(self) -> dict[str, Any]:
        """Return the settings that determine which clips there are and what they show.

        Leaves out the fields that an evaluation protocol has itself, where the files are, and how they are loaded; and
        the settings of LATER_SETTINGS at their defaults, so that a protocol equals those from before there were these.
        """
        plain = asdict(self)
        unset = {name for name, default in LATER_SETTINGS.items() if plain.get(name, default) == default}
        return {name: value for name, value in plain.items() if name not in NOT_IN_PROTOCOL | unset}

    def suited_to(self, card: ModelCard) -> DataConfig:
        """Resolve the settings that depend on the model, such as `view=auto`. By default there are none."""
        return self


class ClipSet(ABC):
    """The clips of one split, by index. Stateless: a clip is a pure function of the arguments."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of clips: one epoch of training clips, or all evaluation clips."""

    @abstractmethod
    def clip(self, index: int, epoch: int, frames: int) -> Clip:
        """Return one clip without the batch axis, ``(T, ...)``; ``key`` is a plain string.

        index: 0 <= index < len(self). epoch: random properties of training clips, such as the first frame, depend on
        it. frames: length of the clip, T.

        A clip of `val` or `test` that is read from files has ``content``, a checksum of the files' bytes
        (`zoo.data.sequences.files.content_checksum`), which tells apart data sets that use the same names.
        """

    def contents(self) -> Mapping[str, str]:
        """Describe the files of each video by its name under the root: how many, their names and sizes, and the part
        that belongs to this split. No times: data that only moved has the same contents. By default nothing is read
        from files, so it is empty."""
        return {}

    def video_count(self, frames: int) -> int:
        """Number of videos that are long enough for a clip. By default every clip is a video of its own."""
        return len(self)

    def random_clip(self, video: int, frames: int, seed: int) -> Clip:
        """Return a clip at a random place of a video (`zoo.data.selection.RANDOM_CLIP`); 0 <= video < video_count."""
        return self.clip(video, 0, frames)

    def pieces(self, index: int, frames: int) -> Iterator[Clip]:
        """Yield an evaluation clip in consecutive pieces, for clips too long for memory.

        A piece has at most PIECE_FRAMES frames if the data set can read them one by one; otherwise the whole clip is
        one piece. There is no flow from one piece to the next.
        """
        yield self.clip(index, 0, frames)


class GreyClips(ClipSet):
    """The clips of another set in grey: their videos have one channel, and every other field is unchanged."""

    def __init__(self, clips: ClipSet) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def clip(self, index: int, epoch: int, frames: int) -> Clip:
        """Return the clip in grey."""
        return grey_clip(self.clips.clip(index, epoch, frames))

    def contents(self) -> Mapping[str, str]:
        """Contents of the other set."""
        return self.clips.contents()

    def video_count(self, frames: int) -> int:
        """Number of videos of the other set."""
        return self.clips.video_count(frames)

    def random_clip(self, video: int, frames: int, seed: int) -> Clip:
        """Return the clip in grey."""
        return grey_clip(self.clips.random_clip(video, frames, seed))

    def pieces(self, index: int, frames: int) -> Iterator[Clip]:
        """Yield the pieces in grey."""
        return map(grey_clip, self.clips.pieces(index, frames))


def grey_clip(clip: Clip) -> Clip:
    """Return a clip whose video, if it has one, has one channel."""
    return {**clip, "video": to_grey(clip["video"])} if "video" in clip else clip


def piece_ranges(frames: int) -> list[range]:
    """Frame ranges of the pieces of a clip with this many frames."""
    return [range(start, min(start + PIECE_FRAMES, frames)) for start in range(0, frames, PIECE_FRAMES)]


DATA_SETS: Registry[DataCard] = Registry("data set", package="zoo.data.sets", group="zoo.data")
register_data = DATA_SETS.register


def build_set(config: DataConfig, split: Split, fields: frozenset[str], seed: int) -> ClipSet:
    """Open one split of a data set.

    fields: the fields to provide beside ``video``; no others are computed. seed: determines what varies in training;
    the clips of `val` and `test` are the same for every seed. With ``config.channels`` of 1, clips of any data set are
    made grey here, after their fields were computed from RGB. Raises ZooError for an unknown data set, a split that it
    does not have, or unusable files.
    """
    if split not in config.splits:
        raise ZooError(
            f"The data set `{config.name}` has no split `{split}`; it has {joined(config.splits)}. Type: split=val"
        )
    clips: ClipSet = DATA_SETS.find(config.name).load()(config, split, fields, seed)
    return GreyClips(clips) if config.channels == 1 else clips
