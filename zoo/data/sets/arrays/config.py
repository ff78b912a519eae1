"""Card and settings of the data set `arrays`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from zoo.data.base import DataCard, register_data
from zoo.data.sequences.config import LabelledConfig
from zoo.errors import ZooError
from zoo.fields.ranges import Range

if TYPE_CHECKING:
    from zoo.types import ClipSpec


CARD = DataCard(
    name="arrays",
    title="Arrays of frames: .npy, .npz, HDF5 and Zarr files",
    fields=frozenset({"video", "condition", "flow", "visibility"}),
    licence="that of the videos",
)


@register_data(CARD, builds=".clips:ArrayClips")
@dataclass
class ArraysConfig(LabelledConfig):
    """Numeric arrays that contain one video or many, of one or three channels, in one file or several.

    ``root`` is a folder or a single file. Files are memory-mapped or read in slices, never as a whole. An array without
    axis of frames contains images: clips of one frame.
    """

    name: str = "arrays"

    array: str | None = None
    """Name of the array in files that contain several (.npz, HDF5, Zarr). None: every one that can be frames."""

    axes: str | None = None
    """The axes in their order: N videos, T frames, H height, W width, C channels, such as TNHW for the published
    Moving MNIST. None: found from the shape, with videos before frames."""

    levels: Annotated[list[float], Range()] = field(default_factory=list)
    """The values of black and of white, such as [0,1] or [-1,1]. Empty: 0 and 255 for 8-bit integers; found from frames
    of every array for others."""

    cache: str = "flow"
    """Data cached in <root>/.zoo: frames, flow, all (both) or none. Arrays need no cache of their frames."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels and (len(self.levels) != 2 or self.levels[0] == self.levels[1]):
            raise ZooError(
                f"data.levels={self.levels} must be two different numbers: the values of black and of white. "
                "Try: data.levels=[0,1]"
            )

    def spec(self) -> ClipSpec:
        """Find the arrays and read their shapes and a few frames. Raises ZooError if they cannot be frames."""
        from zoo.data.sets.arrays.find import find_arrays

        return find_arrays(self).spec
