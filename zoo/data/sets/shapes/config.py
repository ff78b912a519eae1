"""Card and settings of the data set `shapes`. Imports neither torch nor numpy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from zoo.data.base import DataCard, DataConfig, register_data
from zoo.data.selection import FIRST
from zoo.data.sets.shapes.names import ATTRIBUTES, CANVAS, PATH_FRAMES, SHAPES
from zoo.errors import ZooError, check_choice
from zoo.fields.ranges import Frames, PixelsFrom16, PositiveInt, Range
from zoo.types import FIELDS, ClipSpec, Split

CARD = DataCard(
    name="shapes",
    title="Shape motion: one square or disc that crosses a black frame (MoCoGAN), exact ground truth",
    fields=frozenset({"video", "labels", "instances", "flow", "visibility", "attributes", "pose"}),
    licence="generated; MoCoGAN's authors state none for their own clips",
)


@register_data(CARD, builds=".clips:ShapeClips")
@dataclass
class ShapesConfig(DataConfig):
    """A square or a disc of one colour on black. It crosses the frame upwards or to the left in 32 frames, and wanders
    sideways meanwhile.

    Without ``root``, clips are drawn by the rules of MoCoGAN's published ones. The default is what MoCoGAN is trained
    on: 16 frames, every second one. Shapes and paths scale with the frame.
    """

    name: str = "shapes"

    frames: Frames = 16

    height: PixelsFrom16 = 64

    width: PixelsFrom16 | None = None

    batch_size: Annotated[int, Range(1, 65_536)] = 16

    step: PositiveInt = 2
    """Spacing of the frames of a clip: it takes every step-th of the 32 frames of a path. Where it does not need all of
    them, training clips begin at a random one."""

    attributes: list[str] = field(default_factory=lambda: ["motion", "shape"])
    """Attributes of the clips: some of motion (up, left), shape (square, disc), size (8px to 14px in a frame of 64 px)
    and colour (the nearest of black, white and the six pure colours)."""

    clips: PositiveInt = 8_000
    """Training clips in an epoch, drawn anew in every epoch and for every seed. Not with root."""

    root: str | None = None
    """Folder with MoCoGAN's published strips, in its folders 0 and 1. A tenth of them is for validation and a tenth for
    test. None: clips are drawn."""

    splits: ClassVar[tuple[Split, ...]] = ("train", "val", "test")

    @property
    def selection(self) -> str:
        """Drawn clips are in random order; published ones are sorted by motion."""
        return super().selection if self.root else FIRST

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.attributes:
            check_choice("data.attributes", name, ATTRIBUTES)
        if len(set(self.attributes)) < len(self.attributes):
            raise ZooError(f"data.attributes={self.attributes} names an attribute twice. Name each once.")
        if self.root and (self.height, self.pixel_width) != (CANVAS, CANVAS):
            raise ZooError(
                f"data.height={self.height} data.width={self.pixel_width}, but the published strips in data.root are "
                f"{CANVAS}x{CANVAS}. Type data.height={CANVAS}, or leave data.root out: shapes are drawn at any size."
            )
        check_length(self.frames, self.step)

    def spec(self) -> ClipSpec:
        """Describe the clips: every field of the card; without attributes if none is chosen."""
        provided = CARD.fields - (set() if self.attributes else {"attributes"})
        return ClipSpec(
            fields=tuple(name for name in FIELDS if name in provided),
            frames=self.frames,
            height=self.height,
            width=self.pixel_width,
            fps=self.fps,
            label_names=("background", *SHAPES),
            foreground=SHAPES,
            attributes={name: ATTRIBUTES[name] for name in self.attributes},
            constant=tuple(self.attributes),
            channels=self.channels,
        )

    def shaping(self) -> dict[str, Any]:
        """As in the base class, with where the clips come from, and without the length of an epoch."""
        settings = super().shaping() | {"source": "published strips" if self.root else "drawn"}
        return {name: value for name, value in settings.items() if name != "clips"}

    @property
    def pixel_width(self) -> int:
        """Width of a frame in pixels; by default that of a square."""
        return self.width or self.height


def check_length(frames: int, step: int) -> None:
    """Raise ZooError for a clip that is longer than a path."""
    if (frames - 1) * step >= PATH_FRAMES:
        most = (PATH_FRAMES - 1) // step + 1
        finer = (PATH_FRAMES - 1) // (frames - 1)
        advice = f" or data.step={finer}" if finer else ""
        raise ZooError(
            f"{frames} frames at data.step={step} take {(frames - 1) * step + 1} frames of a path, but shapes cross "
            f"the frame in {PATH_FRAMES}. Try: frames={most}{advice}"
        )
