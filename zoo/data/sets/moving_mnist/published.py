"""The published test sets: SRVP's, drawn anew from its seed, and the file of 10,000 clips of Moving MNIST.

Shapes: N clips, J digits, T frames, H x W pixels.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import md5
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.sets.moving_mnist.trajectories import Room, Trajectory, srvp_trajectory
from zoo.errors import ZooError

SRVP_SEED = 42
SRVP_FRAMES = 100
"""Frames of a published test clip of SRVP."""
FILE_FRAMES = 20
"""Frames of a clip in mnist_test_seq.npy."""
FILE_MD5 = "be083ec986bfe91a449d63653c411eb2"
"""Checksum of mnist_test_seq.npy, as torchvision names it."""


class SRVPTest:
    """SRVP's test set: all test digits in an order drawn from seed 42, J to a clip, each digit used once.

    available: number of test digits; MNIST's 10,000 give the 5,000 published clips of two digits, number for number.
    count: J. Clips are drawn one after another, each with the random numbers of 100 frames, so clip n needs all before
    it; they are kept.
    """

    def __init__(self, available: int, count: int, room: Room, redraws: bool) -> None:
        self.room, self.redraws = room, redraws
        self.random = np.random.RandomState(SRVP_SEED)
        order: NDArray[np.int64] = self.random.permutation(available)
        self.digits = order[: available // count * count].reshape(-1, count)
        """Number of each digit within the test digits, (N, J)."""
        self.clips: list[list[Trajectory]] = []

    def trajectories(self, index: int) -> list[Trajectory]:
        """Trajectories of 100 frames of the digits of a clip, J of them."""
        while len(self.clips) <= index:
            count = self.digits.shape[1]
            self.clips.append([srvp_trajectory(self._draw, SRVP_FRAMES, self.room, self.redraws) for _ in range(count)])
        return self.clips[index]

    def _draw(self, low: int, high: int) -> int:
        return int(self.random.randint(low, high))


@lru_cache(maxsize=2)
def open_srvp_test(available: int, count: int, room: Room, redraws: bool) -> SRVPTest:
    """The test set, the same object for the same arguments."""
    return SRVPTest(available, count, room, redraws)


@lru_cache(maxsize=2)
def open_test_clips(path: Path) -> NDArray[np.uint8]:
    """Map the published test clips into memory, (20, 10000, 64, 64). Raises ZooError for another file."""
    with path.open("rb") as opened:
        digest = md5(usedforsecurity=False)
        while part := opened.read(2**24):
            digest.update(part)
    if digest.hexdigest() != FILE_MD5:
        raise ZooError(
            f"{path} is not the published file: its MD5 is {digest.hexdigest()}, expected {FILE_MD5}. Get it again."
        )
    clips: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    return clips
