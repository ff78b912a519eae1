"""The words that every part of the zoo shares: a clip, a task, a request for a sample, a sample.

Conventions, kept everywhere:

- video ``(B, T, C, H, W)``, float in [-1, 1], RGB or one grey channel (``ClipSpec.channels``);
- flow ``(B, T-1, 2, H, W)``, pixels, (dx, dy), backward: entry ``t`` belongs to frame ``t+1`` and
  ``frame[t+1](x) ≈ frame[t](x + flow[t](x))``;
- visibility ``(B, T-1, 1, H, W)``, 1 where the source pixel exists in the earlier frame;
- randomness is a pure function of integers, never of how many numbers were drawn before.

Shapes: B clips, T frames, C channels, H x W pixels, J joints or objects, A entries of an action. This file imports no
torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypeAlias, TypedDict

if TYPE_CHECKING:
    from torch import Tensor

Task = Literal["generate", "predict", "translate", "reconstruct", "classify", "segment"]
Split = Literal["train", "val", "test"]


IGNORED = -1
"""Label of a pixel without a class (`data.ignore`)."""


class Clip(TypedDict):
    """A batch of clips: a plain dict, so collate, pinning, DDP and Lightning take it as it is.

    A field that a data set does not have is absent, never None.
    """

    video: Tensor
    """(B, T, C, H, W) in [-1, 1]: RGB, or one grey channel."""

    fps: Tensor
    """(B,), frames per second."""

    key: list[str]
    """One per clip, "dataset/video/start": the same clip has the same key in every run."""

    content: NotRequired[list[str]]
    """Only validation clips read from files: a checksum of what the files contain, one per clip."""

    labels: NotRequired[Tensor]
    """(B, T, H, W) int64, semantic class ids; IGNORED where there is no class."""

    instances: NotRequired[Tensor]
    """(B, T, H, W) int64, instance ids; 0 is no instance."""

    condition: NotRequired[Tensor]
    """(B, T, C, H, W), a dense map such as edges or a drawn pose."""

    flow: NotRequired[Tensor]
    """(B, T-1, 2, H, W), backward optical flow in pixels, (dx, dy)."""

    visibility: NotRequired[Tensor]
    """(B, T-1, 1, H, W), 1 where the source pixel exists in the earlier frame."""

    attributes: NotRequired[dict[str, Tensor]]
    """Name -> (B, T) int64, ids of the values; -1 is unknown."""

    pose: NotRequired[Tensor]
    """(B, T, J, 3), x and y in pixels, and a confidence: of the joints of a figure, or of the centres of objects."""

    actions: NotRequired[Tensor]
    """(B, T, A), float: what the camera or a robot does. Entry ``t`` leads from frame ``t`` to frame ``t+1``."""

    bounces: NotRequired[Tensor]
    """(B, T, J) bool: whether the frame is the first that shows the new speed of instance ``j+1`` after a bounce."""


FIELDS = (
    *("video", "labels", "instances", "condition", "flow", "visibility", "attributes", "pose"),
    *("actions", "bounces"),
)
"""The fields of a clip that a model may need and a data set may provide; ``fps`` and ``key`` are always there."""


@dataclass(frozen=True)
class ClipSpec:
    """What the clips of a configured data set look like: enough to check, build and rebuild a model for it."""

    fields: tuple[str, ...]
    """Those of FIELDS that every clip has."""

    frames: int
    """Length of a clip in frames."""

    height: int
    """Height in pixels."""

    width: int
    """Width in pixels."""

    fps: float
    """Frame rate, frames per second."""

    label_names: tuple[str, ...] = ()
    """Semantic classes, in the order of their ids."""

    foreground: tuple[str, ...] = ()
    """Those of label_names that move in front of the others, as the data set declares them."""

    condition_kind: str = "none"
    """What `condition` contains, in the data set's own word, such as edges."""

    condition_channels: int = 0
    """Channels of `condition`."""

    attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Attribute -> its values, in the order of their ids."""

    constant: tuple[str, ...] = ()
    """Those of the attributes that never change within a clip."""

    channels: int = 3
    """Channels of the video: 3 (RGB) or 1 (grey)."""

    action_names: tuple[str, ...] = ()
    """Meaning of each entry of `actions`, such as the camera's scroll."""


@dataclass(frozen=True)
class CurriculumStage:
    """State of a curriculum: a pure function of the clips seen, which the data module and the model both follow."""

    frames: int | None = None
    """Length of a clip in frames. None: the whole clip."""

    downscale: int = 1
    """Downscaling: clips have 1/downscale of their height and width."""

    freeze_coarse: bool = False
    """Freeze the coarser generators: only the finest one is trained."""


@dataclass(frozen=True)
class Appearance:
    """An image whose appearance one instance of a sample should have."""

    image: Tensor
    """(3, H, W), RGB in [-1, 1]."""

    instance: int = 0
    """Id of the instance of the sample that gets the appearance."""

    labels: Tensor | None = None
    """(H, W) int64, class ids of the image. None: the mean appearance of the image is used for every class."""

    instances: Tensor | None = None
    """(H, W) int64, instance ids of the image."""

    source: int | None = None
    """Id of the instance in the image that the appearance is taken from. None: the whole image."""


@dataclass(frozen=True)
class SampleRequest:
    """What to sample. One request is one draw; another ``draw`` gives another sample."""

    frames: int
    """Length of the sample in frames, context included."""

    given: Clip | Iterable[Clip] | None = None
    """The conditioning: one clip, or consecutive pieces of a clip too long for memory."""

    context: int = 0
    """Number of frames of ``given["video"]`` that the model sees: the first ones, and no more."""

    seed: int = 0
    """Random seed."""

    draw: int = 0
    """Number of the draw among samples of the same seed and clip."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the model; its card lists those that it understands."""

    clips: int = 1
    """Number of samples where nothing is given; else there are as many as given clips."""

    first: int = 0
    """Where nothing is given: number of the first sample. Samples 0 to 63 are the same in one request or in several."""

    truncation: float | None = None
    """Largest absolute value of the noise: entries beyond it are drawn again (Brock et al. 2019). None: no limit. Only
    for models whose card lists the option `truncation`."""

    @property
    def length(self) -> int:
        """Length of the sample in frames: ``frames``, and those between them with the option ``frames_between``."""
        return self.frames + max(self.frames - 1, 0) * int(self.options.get("frames_between", 0))

    @property
    def names(self) -> list[str]:
        """Names of the samples where nothing is given. Their random numbers depend on them."""
        return [sample_name(number) for number in range(self.first, self.first + self.clips)]


SAMPLE = "sample/"


def sample_name(number: int) -> str:
    """Name of a sample that is made from nothing, in place of the key of a given clip."""
    return f"{SAMPLE}{number}"


def is_sample_name(name: str) -> bool:
    """Whether it is the name of a sample that is made from nothing, and not the key of a clip."""
    return name.startswith(SAMPLE)


@dataclass(frozen=True)
class Sample:
    """What a model generated."""

    video: Tensor
    """(B, T, C, H, W) in [-1, 1]; the first frames are the context frames, unchanged."""

    details: dict[str, Tensor] = field(default_factory=dict)
    """Name -> (B, T, C, H, W): what else is worth a look, such as an intermediate image, a mask or a flow."""

    names: tuple[str, ...] = ()
    """In a validation round: keys of the given clips, or names of the samples if they are made from nothing."""


AttributeProbabilities: TypeAlias = "dict[str, Tensor]"
"""Predictions of a classifier: attribute -> probabilities of its values, (B, K)."""
