"""Find MNIST's files under a root, in the folders of torchvision and OpenSTL. Imports neither torch nor numpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ZooError, joined

PACKAGED = "first 10,000 of MNIST's training set"
MNIST = "MNIST"
IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
IDX_FOLDERS = ("MNIST/raw", "raw", ".", "moving_mnist")
CLIPS_NAME = "mnist_test_seq.npy"
CLIPS_FOLDERS = ("MovingMNIST", ".", "moving_mnist")
LAYOUT = (
    f"<root>/MNIST/raw with {joined(IDX_NAMES)} (each also with .gz), as torchvision stores them, "
    f"<root>/MovingMNIST/{CLIPS_NAME}, or both"
)


@dataclass(frozen=True)
class MNISTFiles:
    """What was found under a root.

    idx: name of IDX_NAMES -> file, or empty. test_clips: the published test clips of Moving MNIST, if they are there.
    """

    idx: dict[str, Path]
    test_clips: Path | None

    @property
    def source(self) -> str:
        """Where digits come from, for the protocol."""
        return MNIST if self.idx else PACKAGED


def find_files(root: str) -> MNISTFiles:
    """Find the files under a root. Raises ZooError if it has none of them, or only a part of the IDX files."""
    folder = Path(root).expanduser()
    if folder.is_file() and folder.name == CLIPS_NAME:
        return MNISTFiles({}, folder)
    idx = next((found for place in IDX_FOLDERS if (found := _find_idx(folder / place))), {})
    clips = [path for place in CLIPS_FOLDERS if (path := folder / place / CLIPS_NAME).is_file()]
    missing = [name for name in IDX_NAMES if name not in idx]
    if idx and missing:
        there = next(iter(idx.values())).parent
        raise ZooError(f"data.root={root}: {there} has no {joined(missing)}. Expected: {LAYOUT}.")
    if not idx and not clips:
        raise ZooError(
            f"data.root={root} contains no file of MNIST. Expected: {LAYOUT}. To use the digits that travel with the "
            "zoo, leave data.root out."
        )
    return MNISTFiles(idx, clips[0] if clips else None)


def _find_idx(folder: Path) -> dict[str, Path]:
    """The IDX files of a folder by name, compressed ones first: these have a known checksum."""
    places = {name: (folder / f"{name}.gz", folder / name) for name in IDX_NAMES}
    found = {name: [path for path in paths if path.is_file()] for name, paths in places.items()}
    return {name: paths[0] for name, paths in found.items() if paths}
