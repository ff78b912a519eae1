"""Several batches at a time out of a loading process, where a training step is short.

PyTorch takes 2 to 3 ms to hand over what has long been made, and the training waits: 7 % of a step of the classifier.
What comes together waits once. The order of the clips, and the position in it, know nothing of this.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from math import inf
from typing import Any, Generic, TypeVar

from torch import Tensor
from torch.utils.data import Sampler, get_worker_info

from zoo.data.packing import Packed, pack
from zoo.errors import ZooError
from zoo.types import Clip

MOST = 16
"""Batches of a bunch."""
SECONDS = 0.5
"""Of training that a bunch is for: longer steps take one batch at a time."""
HANDED_OVER = 0.02
"""Seconds: who waits longer, and for longer than a quarter of a step, does not wait for the handing over alone."""
REMEMBERED = 0.8
"""Of a wait, what still counts at the next bunch: where clips are made slowly, several may be ready at a time."""
MOST_SHARED = 1 << 28
"""Bytes of shared memory, 256 MiB, that all bunches of a process may take."""
SHARED = "/dev/shm"
"""Where Linux keeps it. A container has 64 MiB unless it is told otherwise."""

HELD = 3
"""Bunches of a worker that are there at a time: two wait and one is in use."""
_given: deque[Tensor] = deque(maxlen=HELD)
"""What this worker gave away last. Who lets go of shared memory last frees it, 0.2 ms a megabyte: not the training."""

K = TypeVar("K")


class Pass(Generic[K]):
    """The keys of several batches at a time, as many as is right for the batches that came before.

    weight: how large a batch of these keys is beside another; those of a bunch weigh the same. room: bytes that a bunch
    may take.
    """

    def __init__(self, batches: Iterable[list[K]], weight: Callable[[list[K]], float], room: float) -> None:
        self.batches, self.weight, self.room = batches, weight, room
        self.on_way: deque[float] = deque()
        self.bytes = self.seconds = inf  # of a batch of weight 1: not known
        self.late = 0.0  # seconds, lately, that clips came too late by

    def __iter__(self) -> Iterator[list[K]]:
        for weight, batches in groupby(self.batches, self.weight):
            while bunch := list(islice(batches, self.size(weight))):
                self.on_way.append(weight)
                yield [key for batch in bunch for key in batch]

    def size(self, weight: float) -> int:
        """Batches of a bunch: one, until something is known."""
        return max(1, int(min(MOST, self.room / (self.bytes * weight), SECONDS / (self.seconds * weight))))

    def learn(self, packed: Packed, used: float, waited: float) -> None:
        """From the bunch that has come, in the order in which they were asked for: the seconds that the training took
        with it, and waited for it. Where it waits for clips to be made, it would only wait longer for several."""
        weight = self.on_way.popleft() * len(packed["layouts"])
        self.late = max(REMEMBERED * self.late + waited - HANDED_OVER - used / 4, 0.0)
        self.bytes = max(packed["memory"].nbytes, 1) / weight
        self.seconds = inf if self.late else max(used, 1e-3) / weight


class Bunches(Sampler[list[K]]):
    """A `Pass` for each who iterates; latest is that of the last one."""

    latest: Pass[K]

    def __init__(self, batches: Iterable[list[K]], weight: Callable[[list[K]], float], room: float) -> None:
        self.batches, self.weight, self.room = batches, weight, room

    def __iter__(self) -> Iterator[list[K]]:
        self.latest = Pass(self.batches, self.weight, self.room)
        return iter(self.latest)


def collate_bunch(batch_size: int, clips: list[Clip | ZooError]) -> list[Packed | ZooError]:
    """Clips to their batches, packed; where one of them is a mistake, only the batches before it, and the mistake."""
    mistakes = [place for place, clip in enumerate(clips) if isinstance(clip, ZooError)]
    whole = (mistakes[0] if mistakes else len(clips)) // batch_size
    batches: list[list[Any]] = [clips[number * batch_size :][:batch_size] for number in range(whole)]
    made: list[Any] = [pack(batches)] if batches else []
    if whole > 1 and get_worker_info():
        _given.append(made[0]["memory"])
    else:
        _given.clear()  # a batch by itself may be so large that there is no room to hold anything
    return made + [clips[place] for place in mistakes[:1]]


def room_for_one(workers: int, ranks: int) -> float:
    """Bytes that a bunch may take, so that all of them, in every process of a machine, leave half of the shared memory
    that is free now: those that are held, and one for each worker that it has not given yet."""
    try:
        free = shutil.disk_usage(SHARED).free
    except OSError:  # other systems keep it elsewhere
        free = MOST_SHARED
    return min(MOST_SHARED, free / 2 / ranks) / ((HELD + 1) * workers)
