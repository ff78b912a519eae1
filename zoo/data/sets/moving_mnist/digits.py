"""The digits of each split: those that travel with the zoo, or MNIST's IDX files.

Shapes: N digits, S pixels a side.
"""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import md5, sha256
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from zoo.data.sets.moving_mnist.files import find_files
from zoo.errors import ZooError
from zoo.io.bounded import check_is_file
from zoo.types import Split

PACKAGED_FILE = Path(__file__).with_name("digits.npz")
SIDE = 28
"""Side of a stored digit in pixels."""
BUCKETS = 10
HELD_OUT: dict[int, Split] = {0: "test", 1: "val"}
"""Bucket of a picture's hash -> its split; all other buckets are for training."""
MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
"""Checksums of the published files, as torchvision names them."""
MAX_BYTES = 16 + 60_000 * SIDE**2
"""Size of the largest published file, unpacked."""
IMAGES, LABELS = 2051, 2049
"""First four bytes of an IDX file: unsigned bytes with three axes, and with one."""


@dataclass(frozen=True)
class Digits:
    """Pictures of digits: images (N, 28, 28) uint8, white on black; labels (N,) uint8, 0 to 9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images)

    def select(self, chosen: NDArray[np.bool_]) -> Digits:
        """The digits where ``chosen`` (N,) is true."""
        return Digits(self.images[chosen], self.labels[chosen])

    @cached_property
    def checksum(self) -> str:
        """Checksum of all pictures in their order, 16 hex digits."""
        return sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()[:16]


@lru_cache(maxsize=6)
def load_digits(root: str | None, split: Split) -> Digits:
    """The digits of a split; no picture is in two splits.

    Of MNIST's files, `test` is MNIST's own test set, and a tenth of the training set, chosen by a hash of each picture,
    is `val`. Of the digits that travel with the zoo, a tenth each is `val` and `test`. Raises ZooError for unusable
    files.
    """
    files = find_files(root) if root else None
    if files is None or not files.idx:
        with np.load(PACKAGED_FILE) as packaged:
            digits = Digits(packaged["images"], packaged["labels"])
        return digits.select(split_by_picture(digits.images) == split)
    part = "t10k" if split == "test" else "train"
    images, labels = (
        _read_idx(files.idx[f"{part}-{kind}-ubyte"], magic)
        for kind, magic in (("images-idx3", IMAGES), ("labels-idx1", LABELS))
    )
    if len(images) != len(labels):
        raise ZooError(f"data.root={root}: {len(images)} pictures, but {len(labels)} labels ({part}).")
    digits = Digits(images, labels)
    if split == "test":
        return digits
    is_val = split_by_picture(images) == "val"
    return digits.select(is_val if split == "val" else ~is_val)


def split_by_picture(images: NDArray[np.uint8]) -> NDArray[np.str_]:
    """Name of the split of each picture, (N, 28, 28) -> (N,), by its SHA-256, whatever its place in a file."""
    buckets = (int.from_bytes(sha256(image.tobytes()).digest()[:8], "big") % BUCKETS for image in images)
    return np.array([HELD_OUT.get(bucket, "train") for bucket in buckets])


def resize_digits(images: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Resize digits bilinearly as Pillow does, (N, 28, 28) uint8 to (N, size, size) in [0, 1], multiples of 1/255."""
    if size != SIDE:
        pixels = torch.from_numpy(images)[:, None]
        images = F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)[:, 0].numpy()
    return images.astype(np.float32) / np.float32(255)


def _read_idx(path: Path, magic: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or compressed. Raises ZooError for anything else."""
    data = _read_bytes(path)
    axes = magic % 256
    start = 4 + 4 * axes
    found, *shape = (int.from_bytes(data[place : place + 4], "big") for place in range(0, start, 4))
    if len(data) < start or found != magic or shape[1:] != [SIDE, SIDE][: axes - 1] or not shape[0]:
        raise ZooError(f"{path} is not an IDX file of MNIST: expected {axes} axes of unsigned bytes, 28 x 28 pictures.")
    content = np.frombuffer(data, np.uint8, offset=start)
    if len(content) != math.prod(shape):
        raise ZooError(f"{path} is incomplete: {len(content)} bytes where {math.prod(shape)} are announced.")
    if magic == LABELS and content.max() > 9:
        raise ZooError(f"{path} has the label {content.max()}; digits are 0 to 9.")
    return content.reshape(shape)


def _read_bytes(path: Path) -> bytes:
    """Content of a file, unpacked, at most one byte more than any published file has."""
    check_is_file(path)
    try:
        if path.suffix != ".gz":
            with path.open("rb") as plain:
                return plain.read(MAX_BYTES + 1)
        if (found := md5(path.read_bytes(), usedforsecurity=False).hexdigest()) != MD5[path.name]:
            raise ZooError(
                f"{path} is not the published file: its MD5 is {found}, expected {MD5[path.name]}. Get it again."
            )
        with gzip.open(path) as packed:
            return packed.read(MAX_BYTES + 1)
    except (OSError, EOFError) as problem:
        raise ZooError(f"{path} cannot be read: {problem}.") from problem
