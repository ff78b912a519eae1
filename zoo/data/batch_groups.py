"""Transfer several batches at a time from a loading process when training steps are short.

PyTorch takes 2 to 3 ms to hand a finished batch to the training process, which waits: 7 % of a step of the classifier.
A group of batches waits once. Order and position of the clips do not depend on the grouping.
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

from zoo.data.shared_memory import PackedBatches, iter_columns, pack_batches
from zoo.errors import ZooError
from zoo.types import Clip

MAX_BATCHES = 16
"""Maximal number of batches in a group."""
GROUP_SECONDS = 0.5
"""Training time that a group should last; steps longer than this get one batch at a time."""
TRANSFER_SECONDS = 0.02
"""Longest wait that a transfer alone explains; together with a quarter of a step. A longer wait means slow loading."""
DELAY_DECAY = 0.8
"""Decay of the measured delay per group: slow workers may finish several groups at the same time now and then."""
MAX_SHARED_BYTES = 1 << 28
"""Shared memory, in bytes (256 MiB), that all groups of a process may take together."""
SHARED_MEMORY = "/dev/shm"
"""Where Linux keeps shared memory. Containers have 64 MiB by default."""

GROUPS_PER_WORKER = 3
"""Groups of a worker that exist at a time: PyTorch prefetches two, and one is in use."""
_recent_memory: deque[Tensor] = deque(maxlen=GROUPS_PER_WORKER)
"""Memory of the groups that this worker sent last. The last process to release shared memory frees it, which takes
0.2 ms per megabyte; holding it here keeps that time out of the training process."""

K = TypeVar("K")


class BatchGroups(Generic[K]):
    """Iterates over the keys of groups of batches; the size of a group follows from the groups measured so far.

    weight: relative size of a batch with these keys; all batches of a group have the same weight. max_bytes: maximal
    size of a group in bytes.
    """

    def __init__(self, batches: Iterable[list[K]], weight: Callable[[list[K]], float], max_bytes: float) -> None:
        self.batches, self.weight, self.max_bytes = batches, weight, max_bytes
        self.in_flight: deque[float] = deque()  # weights of the groups that were requested and not measured yet
        self.bytes_per_weight = self.seconds_per_weight = inf  # of one batch; inf: not measured yet
        self.delay = 0.0  # decaying sum of the seconds by which loading was too slow

    def __iter__(self) -> Iterator[list[K]]:
        for weight, batches in groupby(self.batches, self.weight):
            while group := list(islice(batches, self.group_size(weight))):
                self.in_flight.append(weight)
                yield [key for batch in group for key in batch]

    def group_size(self, weight: float) -> int:
        """Number of batches of this weight in the next group; 1 until the first group has been measured."""
        by_bytes = self.max_bytes / (self.bytes_per_weight * weight)
        by_seconds = GROUP_SECONDS / (self.seconds_per_weight * weight)
        return max(1, int(min(MAX_BATCHES, by_bytes, by_seconds)))

    def update(self, packed: PackedBatches, training_seconds: float, wait_seconds: float) -> None:
        """Record a group, in the order of the requests: the time spent training on it and waiting for it.

        If training waits because loading is slow, it would wait even longer for several batches at a time.
        """
        weight = self.in_flight.popleft() * len(packed["layouts"])
        self.delay = max(DELAY_DECAY * self.delay + wait_seconds - TRANSFER_SECONDS - training_seconds / 4, 0.0)
        self.bytes_per_weight = max(packed["memory"].nbytes, 1) / weight
        self.seconds_per_weight = inf if self.delay else max(training_seconds, 1e-3) / weight


class BatchGroupSampler(Sampler[list[K]]):
    """Batch sampler that makes new `BatchGroups` for every iteration; ``latest`` are those of the last one."""

    latest: BatchGroups[K]

    def __init__(self, batches: Iterable[list[K]], weight: Callable[[list[K]], float], max_bytes: float) -> None:
        self.batches, self.weight, self.max_bytes = batches, weight, max_bytes

    def __iter__(self) -> Iterator[list[K]]:
        self.latest = BatchGroups(self.batches, self.weight, self.max_bytes)
        return iter(self.latest)


def collate_group(batch_size: int, clips: list[Clip | ZooError]) -> list[PackedBatches | ZooError]:
    """Collate the clips of a group to packed batches. If a clip is a ZooError: the batches before it, and the error."""
    errors = [place for place, clip in enumerate(clips) if isinstance(clip, ZooError)]
    complete = (errors[0] if errors else len(clips)) // batch_size
    batches: list[list[Any]] = [clips[number * batch_size :][:batch_size] for number in range(complete)]
    results: list[Any] = [pack_batches(batches)] if batches else []
    if complete > 1 and get_worker_info():
        _recent_memory.append(results[0]["memory"])
    else:
        _recent_memory.clear()  # a single batch may be too large to hold copies of it
    return results + [clips[place] for place in errors[:1]]


def shared_memory_budget(workers: int, ranks: int) -> float:
    """Maximal size of a group in bytes.

    All groups of all workers and ranks on a machine together leave half of the free shared memory: those that a worker
    holds, and the one that it is making.
    """
    free = free_shared_memory()
    free = MAX_SHARED_BYTES if free is None else free
    return min(MAX_SHARED_BYTES, free / 2 / ranks) / ((GROUPS_PER_WORKER + 1) * workers)


def free_shared_memory() -> int | None:
    """Free shared memory in bytes; None where it is no file system (not Linux)."""
    try:
        return shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return None


def check_shared_memory(clip: Clip, batch_size: int, workers: int, ranks: int) -> None:
    """Raise ZooError unless the batches that all loading processes hold at a time fit into shared memory.

    Without this check a process would lose its batch, and training would wait for it. clip: one of the clips.
    """
    free = free_shared_memory()
    batch = batch_size * sum(tensor.nbytes for _, [tensor] in iter_columns([clip]))
    needed = batch * GROUPS_PER_WORKER * workers * ranks
    if free is None or needed <= free:
        return
    fitting = int(free / (batch * GROUPS_PER_WORKER * ranks))
    raise ZooError(
        f"{SHARED_MEMORY} has {free / 2**20:.0f} MiB free, but {workers * ranks} data-loading processes with batches "
        f"of {batch / 2**20:.1f} MiB need {needed / 2**20:.0f} MiB of shared memory. Try: data.workers={fitting}, or "
        "give the container more of it, such as docker run --shm-size=2g"
    )
