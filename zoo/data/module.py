"""The one data module: clips in an order that is a pure function of integers, so that stopping changes nothing.

A training is one pass over a list of positions 0 … budget-1. The clip at a position follows from the seed alone:
position p lies in epoch p // N at place p % N of that epoch's permutation. No worker remembers anything, so a run goes
on from any position, and a curriculum can be a function of the position too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from zoo.data.base import ClipSet, DataConfig, build_set
from zoo.errors import ZooError
from zoo.randomness import generator
from zoo.types import Clip


class ClipKey(NamedTuple):
    """Which clip: everything that it depends on beside the data set."""

    number: int
    epoch: int
    frames: int


class Order(Sampler[list[ClipKey]]):
    """Batches of keys for one rank; ``start`` is the position, over all ranks, to begin at."""

    def __init__(
        self, clips: int, budget: int, batch_size: int, frames: int, seed: int, rank: int = 0, ranks: int = 1
    ) -> None:
        self.clips, self.budget, self.frames, self.seed = clips, budget, frames, seed
        self.batch_size, self.rank, self.ranks = batch_size, rank, ranks
        self.start = 0

    @property
    def step(self) -> int:
        """Positions that one step of all ranks consumes."""
        return self.batch_size * self.ranks

    def __len__(self) -> int:
        """Steps of the whole training; a last one that is not full is left out, unless it is the only one."""
        return max(self.budget // self.step, 1)

    def key(self, position: int) -> ClipKey:
        """The clip at a position of the training."""
        epoch, place = divmod(position, self.clips)
        order = self._permutation(epoch)
        return ClipKey(int(order[place]), epoch, self.frames)

    def __iter__(self) -> Iterator[list[ClipKey]]:
        for step in range(self.start // self.step, len(self)):
            first = step * self.step + self.rank
            yield [self.key(first + i * self.ranks) for i in range(self.batch_size)]

    def _permutation(self, epoch: int) -> torch.Tensor:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._order = torch.randperm(self.clips, generator=generator(self.seed, epoch))
        return self._order


class KeyedClips(Dataset[Clip]):
    """A clip set as PyTorch's loader wants it."""

    def __init__(self, clips: ClipSet) -> None:
        self.clips = clips

    def __getitem__(self, key: ClipKey) -> Clip:
        return self.clips.clip(*key)


class ClipLoader(DataLoader[Clip]):
    """A loader that knows its position, so that Lightning saves it and goes on from it in mid-pass."""

    def __init__(self, clips: ClipSet, order: Order, workers: int) -> None:
        self.order = order
        self.done = 0
        super().__init__(
            KeyedClips(clips),
            batch_sampler=order,
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=one_thread if workers else None,
        )

    def __iter__(self) -> Iterator[Clip]:  # type: ignore[override]
        self.done = self.order.start
        for batch in super().__iter__():
            self.done += self.order.step
            yield batch
        self.order.start = 0

    def state_dict(self) -> dict[str, int]:
        """The position, over all ranks."""
        return {"position": self.done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next pass at that position."""
        self.order.start = state["position"]


def one_thread(worker: int) -> None:
    """Loading processes leave the cores to training."""
    torch.set_num_threads(1)
    try:
        import cv2

        cv2.setNumThreads(0)
    except ImportError:
        pass


class VideoData(LightningDataModule):
    """Training clips and evaluation clips of one data set.

    budget: training clips over all ranks. fields: those a model wants. evaluation_clips, evaluation_frames: how many
    clips are evaluated on, and their length; always the first ones of the split ``val``, in order.
    """

    def __init__(
        self,
        config: DataConfig,
        fields: frozenset[str],
        budget: int,
        seed: int,
        evaluation_clips: int,
        evaluation_frames: int,
    ) -> None:
        super().__init__()
        self.config, self.fields, self.budget, self.seed = config, fields, budget, seed
        self.evaluation_clips, self.evaluation_frames = evaluation_clips, evaluation_frames

    def train_dataloader(self) -> ClipLoader:
        """The whole training as one pass."""
        clips = build_set(self.config, "train", self.fields, self.seed)
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        order = Order(len(clips), self.budget, self.config.batch_size, self.config.frames, self.seed, rank, ranks)
        return ClipLoader(clips, order, self.config.workers)

    def val_dataloader(self) -> DataLoader[Clip]:
        """The evaluation clips in their order, the same for every model and seed."""
        config = replace(self.config, frames=self.evaluation_frames)
        clips = build_set(config, "val", self.fields, self.seed)
        if len(clips) < self.evaluation_clips:
            raise ZooError(
                f"The data set `{self.config.name}` has {len(clips)} evaluation clips of "
                f"{self.evaluation_frames} frames; {self.evaluation_clips} were asked for. "
                f"Try: evaluation.clips={len(clips)}"
            )
        keys = [ClipKey(index, 0, self.evaluation_frames) for index in range(self.evaluation_clips)]
        return DataLoader(KeyedClips(clips), self.config.batch_size, sampler=keys)
