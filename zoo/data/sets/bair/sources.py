"""A trajectory as a video: a record of a TFRecord file, or a folder of PNG files. Imports no torch.

Shapes: T frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import read_image
from zoo.data.sequences.files import stamp_files
from zoo.data.sets.bair.names import ACTION_NAMES, SIDE
from zoo.data.sets.bair.records import Example, Record, read_example
from zoo.errors import ZooError


@dataclass(frozen=True)
class RecordedTrajectory:
    """A record. name: that of the folder in SVG's layout. length: T."""

    name: str
    record: Record
    camera: str
    length: int

    @property
    def path(self) -> Path:
        """The TFRecord file."""
        return self.record.path

    def stored(self, fps: float) -> NDArray[np.int64]:
        """Numbers of the stored frames, (T,): every frame is used, whatever the frame rate."""
        return np.arange(self.length)

    def stamp_of(self, kind: str) -> str:
        """Fingerprint of the file, with the place of the record and the camera."""
        return f"{self.record.stamp} {self.record.start} {self.camera}"

    def decode_start(self, kind: str, number: int) -> int:
        """Every frame is stored by itself."""
        return number

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """The TFRecord file."""
        return [self.path]

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read frames by number, (64, 64, 3) uint8."""
        example = read_example(self.record)
        for number in numbers:
            pixels = example.texts.get(f"{number}/image_{self.camera}/encoded")
            if pixels is None or len(pixels) != SIDE * SIDE * 3:
                found = "is missing" if pixels is None else f"has {len(pixels):,} bytes"
                raise ZooError(
                    f"{self.path}: frame {number} of the camera {self.camera} in {self.name} {found}; expected "
                    f"{SIDE}x{SIDE}x3. Copy the file again."
                )
            yield np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE, 3)

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a frame's map; there are none."""
        return self.path

    def actions(self) -> NDArray[np.float32]:
        """The four numbers of the action in each frame, which leads to the next one, (T, 4)."""
        floats = read_example(self.record).floats
        found = [floats.get(f"{number}/action") for number in range(self.length)]
        actions = [each for each in found if each is not None and each.shape == (len(ACTION_NAMES),)]
        if len(actions) < self.length or not np.isfinite(actions).all():
            raise ZooError(
                f"{self.path}: {self.name} has {len(actions)} actions of {len(ACTION_NAMES)} finite numbers for its "
                f"{self.length} frames. Copy the file again."
            )
        return np.stack(actions)


def frames_of(example: Example, camera: str) -> int:
    """Number of frames of an example, from 0 on without a gap."""
    return next(number for number in count() if f"{number}/image_{camera}/encoded" not in example.texts)


@dataclass(frozen=True)
class PictureTrajectory:
    """A folder of PNG files, 0.png and so on. length: T."""

    name: str
    path: Path
    length: int

    def stored(self, fps: float) -> NDArray[np.int64]:
        """Numbers of the stored frames, (T,): every frame is used, whatever the frame rate."""
        return np.arange(self.length)

    def stamp_of(self, kind: str) -> str:
        """Fingerprint of the files."""
        return stamp_files(self._file(number) for number in range(self.length))

    def decode_start(self, kind: str, number: int) -> int:
        """Every frame is decoded by itself."""
        return number

    def frame_files(self, numbers: NDArray[np.int64]) -> list[Path]:
        """The images of these frames."""
        return [self._file(number) for number in dict.fromkeys(numbers.tolist())]

    def read(self, kind: str, numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Read frames by number, (h, w, 3) uint8."""
        for number in numbers:
            path = self._file(int(number))
            if not path.is_file():
                raise ZooError(f"{path} is missing. Convert the videos again, {self.length} frames each.")
            yield read_image(path)

    def map_file(self, kind: str, number: int) -> Path:
        """The file of a frame's map; there are none."""
        return self.path

    def _file(self, number: int) -> Path:
        return self.path / f"{number}.png"


Trajectory = RecordedTrajectory | PictureTrajectory
