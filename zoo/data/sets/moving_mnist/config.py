"""Card, settings and names of the data set `moving_mnist`. Imports neither torch nor numpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from zoo.data.base import DataCard, DataConfig, register_data
from zoo.data.sets.moving_mnist.files import CLIPS_NAME, PACKAGED, find_files
from zoo.errors import check_choice
from zoo.fields.ranges import Frames, PixelsFrom16, PositiveInt, Range
from zoo.types import FIELDS, ClipSpec, Split

CANVAS = 64
"""Side of the published frames, in pixels."""
DIGIT_SIZES = {"svg": 32, "srvp": 28, "predrnn": 28, "svg_deterministic": 32, "srvp_deterministic": 28}
"""Variant -> side of a digit in a frame of CANVAS pixels."""
CLASSES = tuple("0123456789")
MAX_DIGITS = 3

CARD = DataCard(
    name="moving_mnist",
    title="Moving MNIST: bouncing digits, stochastic (SVG, SRVP) or deterministic (PredRNN), exact ground truth",
    fields=frozenset(
        {"video", "labels", "instances", "flow", "visibility", "attributes", "pose", "bounces"},
    ),
    licence="CC BY-SA 3.0 (digits: Yann LeCun and Corinna Cortes)",
)


@register_data(CARD, builds=".clips:MovingMNISTClips")
@dataclass
class MovingMNISTConfig(DataConfig):
    """Handwritten digits that move in front of black and bounce off the borders, drawn on the fly.

    Without ``root``, the digits are the first 10,000 of MNIST's training set, which travel with the zoo. The default
    is the data of SVG: two digits of 32 pixels in a frame of 64, whose speeds are drawn anew at each bounce. Digits
    scale with the frame, speeds do not.
    """

    name: str = "moving_mnist"

    frames: Frames = 15

    height: PixelsFrom16 = 64

    width: PixelsFrom16 | None = None

    channels: Annotated[int, Range(1, 3)] = 1
    """Channels of the video: 1 (grey), or 3 (the same three times)."""

    batch_size: Annotated[int, Range(1, 65_536)] = 16

    variant: str = "svg"
    """How digits move. svg: whole pixels, the speed is redrawn at a bounce, digits are added (Denton and Fergus 2018).
    srvp: the same with the exact moment of the bounce and digits of 28 pixels (Franceschi et al. 2020). predrnn: a
    constant speed that is reflected, the brighter digit in front (Srivastava et al. 2015, as in PredRNN and OpenSTL).
    svg_deterministic and srvp_deterministic: speeds are reflected instead of redrawn."""

    digits: Annotated[int, Range(1, MAX_DIGITS)] = 2
    """Digits in a clip, 1 to 3. A single one also gives the attribute `digit`."""

    clips: PositiveInt = 10_000
    """Training clips in an epoch. They are drawn anew in every epoch and for every seed."""

    root: str | None = None
    """Folder with MNIST's IDX files as torchvision stores them (MNIST/raw), with the published test clips
    mnist_test_seq.npy, or with both; or that .npy file itself. None: the digits that travel with the zoo."""

    in_random_order: ClassVar[bool] = True
    splits: ClassVar[tuple[Split, ...]] = ("train", "val", "test")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("data.variant", self.variant, DIGIT_SIZES)

    def spec(self) -> ClipSpec:
        """Describe the clips: all fields of the card, or the video alone where test clips are the published ones."""
        absent = set() if self.digits == 1 else {"attributes"}
        provided = {"video"} if self.published_test else CARD.fields - absent
        known = "labels" in provided
        return ClipSpec(
            fields=tuple(name for name in FIELDS if name in provided),
            frames=self.frames,
            height=self.height,
            width=self.pixel_width,
            fps=self.fps,
            label_names=("background", *CLASSES) if known else (),
            foreground=CLASSES if known else (),
            attributes={"digit": CLASSES} if "attributes" in provided else {},
            constant=("digit",) if "attributes" in provided else (),
            channels=self.channels,
        )

    def shaping(self) -> dict[str, Any]:
        """As in the base class, with where digits and test clips come from, and without the length of an epoch."""
        settings = super().shaping() | {"source": find_files(self.root).source if self.root else PACKAGED}
        if self.published_test:
            settings["test_clips"] = CLIPS_NAME
        return {name: value for name, value in settings.items() if name != "clips"}

    @property
    def pixel_width(self) -> int:
        """Width of a frame in pixels; by default that of a square."""
        return self.width or self.height

    @property
    def digit_size(self) -> int:
        """Side of a digit in pixels."""
        return round(DIGIT_SIZES[self.variant] * min(self.height, self.pixel_width) / CANVAS)

    @property
    def published_test(self) -> Path | None:
        """The file with the published test clips, if these have this form: variant predrnn, two digits, 64 pixels.

        Raises ZooError for a root without any file of MNIST.
        """
        found = find_files(self.root).test_clips if self.root else None
        form = self.variant, self.digits, self.height, self.pixel_width
        return found if form == ("predrnn", 2, CANVAS, CANVAS) else None
