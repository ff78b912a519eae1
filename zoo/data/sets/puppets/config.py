"""Card, settings and names of the puppets. Imports neither torch nor numpy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from zoo.data.base import DataCard, DataConfig, register_data
from zoo.data.selection import FIRST
from zoo.errors import check_choice
from zoo.fields.ranges import PixelsFrom16, PositiveInt, Share
from zoo.types import FIELDS, ClipSpec, Split

if TYPE_CHECKING:
    from zoo.card import ModelCard

IDENTITIES = ("ada", "bo", "cleo", "dev", "emil", "fay", "gus", "hana", "ivo")
ACTIONS = ("walk", "run", "skip", "side", "jump", "pjump", "jack", "bend", "wave1", "wave2")
LABELS = (
    "sky",
    "building",
    "ground",
    "occluder",
    "head",
    "torso",
    "near upper arm",
    "near forearm",
    "near thigh",
    "near lower leg",
    "far upper arm",
    "far forearm",
    "far thigh",
    "far lower leg",
)
FOREGROUND = LABELS[LABELS.index("head") :]
"""The parts of a figure; the occluder is static, in front of the street."""
ACTION_NAMES = ("scroll",)
"""Entries of the field `actions`: how far the camera moves right from a frame to the next, in pixels on the ground; a
multiple of 1/4 pixel, and 0 in the person view, where the background is still."""
VIEWS = ("auto", "person", "street")
CONDITION_CHANNELS = {"none": 0, "edges": 1, "distance": 2, "pose": 3}

CARD = DataCard(
    name="puppets",
    title="Puppets: nine cartoon figures, ten actions, exact ground truth",
    fields=frozenset(FIELDS) - {"bounces"},
    licence="Apache-2.0",
)


@register_data(CARD, builds=".clips:PuppetClips")
@dataclass
class PuppetsConfig(DataConfig):
    """Cartoon figures rendered on the fly, with exact ground truth.

    A width of None is the height for view=person, and twice the height for view=street.
    """

    name: str = "puppets"

    splits: ClassVar[tuple[Split, ...]] = ("train", "val", "test")

    height: PixelsFrom16 = 64

    width: PixelsFrom16 | None = None

    view: str = "auto"
    """Framing: person (the figure fills the frame in front of a smooth, still background), street (wider: the figure
    crosses a scrolling street), or auto (street for a model that translates, else person)."""

    condition: str = "none"
    """Content of the field `condition`: none (no such field), edges (1 channel, 1 on the borders between parts, else
    0), distance (2 channels: the edges, and each pixel's distance to the nearest one, in [0, 1]), or pose (3 channels,
    skeletons in colours on black, in [-1, 1])."""

    clips: PositiveInt = 10_000
    """Number of distinct training clips: one epoch."""

    transitions: Share = 0.25
    """Share of the clips, 0 to 1, that switch back and forth between two actions."""

    crowd: Share = 0.25
    """Share of the street clips, 0 to 1, in which a second puppet passes; and, drawn independently, the share in which
    a lamp post or a bush is in front."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("data.view", self.view, VIEWS)
        check_choice("data.condition", self.condition, CONDITION_CHANNELS)

    def spec(self) -> ClipSpec:
        """Describe the clips: all fields, except `condition` if none was chosen."""
        absent = {"condition"} if self.condition == "none" else set()
        return ClipSpec(
            fields=tuple(name for name in FIELDS if name in CARD.fields - absent),
            frames=self.frames,
            height=self.height,
            width=self.pixel_width,
            fps=self.fps,
            label_names=LABELS,
            foreground=FOREGROUND,
            condition_kind=self.condition,
            condition_channels=CONDITION_CHANNELS[self.condition],
            attributes={"identity": IDENTITIES, "action": ACTIONS},
            constant=("identity",) if self.transitions else ("identity", "action"),
            channels=self.channels,
            action_names=ACTION_NAMES,
        )

    def suited_to(self, card: ModelCard) -> PuppetsConfig:
        """Resolve `view=auto`: street for a model that translates, else person."""
        if self.view != "auto":
            return self
        return dataclasses.replace(self, view="street" if "translate" in card.tasks else "person")

    @property
    def selection(self) -> str:
        """The first clips: they are drawn from random numbers."""
        return FIRST

    @property
    def shows_street(self) -> bool:
        """Whether the street is shown; `auto` that no model has resolved shows a person."""
        return self.view == "street"

    @property
    def pixel_width(self) -> int:
        """Width of a frame in pixels, with None resolved."""
        return self.width or self.height * (2 if self.shows_street else 1)
