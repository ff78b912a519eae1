"""The words that every part of the zoo shares: a clip, a task, a request for a sample, a sample.

Conventions, kept everywhere:

- video ``(B, T, C, H, W)``, float, RGB in [-1, 1];
- flow ``(B, T-1, 2, H, W)``, pixels, (dx, dy), backward: entry ``t`` belongs to frame ``t+1`` and
  ``frame[t+1](x) ≈ frame[t](x + flow[t](x))``;
- visibility ``(B, T-1, 1, H, W)``, 1 where the source pixel exists in the earlier frame;
- randomness is a pure function of integers, never of how many numbers were drawn before.

Shapes: B clips, T frames, C channels, H x W pixels, J joints. This file imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypeAlias, TypedDict

if TYPE_CHECKING:
    from torch import Tensor

Task = Literal["generate", "predict", "translate", "reconstruct", "classify", "segment"]
Split = Literal["train", "val"]


class Clip(TypedDict):
    """A batch of clips: a plain dict, so collate, pinning, DDP and Lightning take it as it is.

    A field that a data set does not have is absent, never None.
    """

    video: Tensor  # (B, T, 3, H, W)
    fps: Tensor  # (B,)
    key: list[str]  # "dataset/video/start": the same clip has the same key in every run
    content: NotRequired[list[str]]  # of evaluation clips from files: a checksum of what these hold
    labels: NotRequired[Tensor]  # (B, T, H, W) int64, semantic map
    instances: NotRequired[Tensor]  # (B, T, H, W) int64, 0 = no instance
    condition: NotRequired[Tensor]  # (B, T, C, H, W), a dense map such as edges or a drawn pose
    flow: NotRequired[Tensor]  # (B, T-1, 2, H, W)
    visibility: NotRequired[Tensor]  # (B, T-1, 1, H, W)
    attributes: NotRequired[dict[str, Tensor]]  # name -> (B, T) int64, -1 = not known
    pose: NotRequired[Tensor]  # (B, T, J, 3): x and y in pixels, confidence


FIELDS = ("video", "labels", "instances", "condition", "flow", "visibility", "attributes", "pose")
"""The fields of a clip that a model may need and a data set may provide; ``fps`` and ``key`` are always there."""


@dataclass(frozen=True)
class ClipSpec:
    """What the clips of a configured data set look like: enough to check, build and rebuild a model for it."""

    fields: tuple[str, ...]  # those of FIELDS that every clip has
    frames: int
    height: int
    width: int
    fps: float
    label_names: tuple[str, ...] = ()  # semantic classes in the order of their ids
    foreground: tuple[str, ...] = ()  # those of label_names that move before the rest, as the data set declares
    condition_kind: str = "none"  # what `condition` holds, in the data set's own word, such as edges
    condition_channels: int = 0
    attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # name -> its values, by id
    constant: tuple[str, ...] = ()  # those of attributes that never change inside a clip


@dataclass(frozen=True)
class CurriculumStage:
    """Where a curriculum stands: a pure function of clips seen, which the data module and the model both follow.

    frames: length of a clip, None for the whole. downscale: clips come at 1/downscale of their height and width.
    freeze_coarse: of generators coarse to fine, only the finest learns.
    """

    frames: int | None = None
    downscale: int = 1
    freeze_coarse: bool = False


@dataclass(frozen=True)
class Appearance:
    """A picture whose appearance one instance of a sample should have.

    image: (3, H, W) in [-1, 1]. instance: which one of the sample. labels, instances: (H, W) int64, of the picture;
    without labels all of it is taken. source: which instance of the picture; None is all of it.
    """

    image: Tensor
    instance: int = 0
    labels: Tensor | None = None
    instances: Tensor | None = None
    source: int | None = None


@dataclass(frozen=True)
class SampleRequest:
    """What to make. One request is one draw: ask again with another ``draw`` for another sample.

    ``given`` holds the conditioning: one clip, or consecutive pieces of a clip too long for memory.
    Of ``given["video"]`` a model sees the first ``context`` frames and no more. ``options`` are the model's own; its
    card lists those that it understands.
    """

    frames: int
    given: Clip | Iterable[Clip] | None = None
    context: int = 0
    seed: int = 0
    draw: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """What a model made: ``video`` ``(B, T, 3, H, W)`` in [-1, 1], context frames included as they were given.

    ``details`` holds what else is worth a look, each ``(B, T, C, H, W)``: an intermediate image, a mask, a flow.
    """

    video: Tensor
    details: dict[str, Tensor] = field(default_factory=dict)


Verdict: TypeAlias = "dict[str, Tensor]"
"""What a model that classifies says of clips: attribute -> the probabilities of its values, (B, K)."""
