"""The one data module: clips in an order that is a pure function of integers, so that stopping changes nothing.

A training is one pass over a list of positions 0 … budget-1. The clip at a position follows from the seed alone:
position p lies in epoch p // N at place p % N of that epoch's permutation. No worker remembers anything, so a run goes
on from any position, and a curriculum can be a function of the position too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, NamedTuple
from zlib import crc32

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from zoo.data.base import ClipSet, DataConfig, build_set
from zoo.data.bunches import Bunches, collate_bunch, room_for_one
from zoo.data.packing import unpack
from zoo.data.workers import ended, one_thread
from zoo.errors import ZooError
from zoo.randomness import generator, mix
from zoo.types import Clip, CurriculumStage, Split


class ClipKey(NamedTuple):
    """Which clip: everything that it depends on beside the data set. downscale: it comes at 1/downscale of its size."""

    number: int
    epoch: int
    frames: int
    downscale: int = 1


Curriculum = Callable[[int], CurriculumStage]
"""Clips seen to the stage that the next ones are made for."""


def no_curriculum(clips_seen: int) -> CurriculumStage:
    """Whole clips from the start."""
    return CurriculumStage()


class Order(Sampler[list[ClipKey]]):
    """Batches of keys for one rank; ``start`` is the position, over all ranks, to begin at.

    stage: the curriculum. All clips of a step are made for the stage that the step begins in, on every rank; the key
    carries it, so that workers that stay alive follow, too.
    """

    def __init__(
        self,
        clips: int,
        budget: int,
        batch_size: int,
        frames: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        stage: Curriculum = no_curriculum,
    ) -> None:
        self.clips, self.budget, self.frames, self.seed = clips, budget, frames, seed
        self.batch_size, self.rank, self.ranks = batch_size, rank, ranks
        self.stage = stage
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
        stage = self.stage(position - position % self.step)
        return ClipKey(int(order[place]), epoch, min(stage.frames or self.frames, self.frames), stage.downscale)

    def __iter__(self) -> Iterator[list[ClipKey]]:
        for step in range(self.start // self.step, len(self)):
            first = step * self.step + self.rank
            yield [self.key(first + i * self.ranks) for i in range(self.batch_size)]

    def _permutation(self, epoch: int) -> torch.Tensor:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._order = torch.randperm(self.clips, generator=generator(self.seed, epoch))
        return self._order


def pixels(batch: list[ClipKey]) -> float:
    """Of the clips of a batch, by those of a frame in full size."""
    return batch[0].frames / batch[0].downscale ** 2


class KeyedClips(Dataset[Clip]):
    """One split of a data set as PyTorch's loader wants it: at every size that a curriculum asks for.

    A ZooError is handed on as a value: PyTorch would bury its sentence in the stack trace of a worker.
    """

    def __init__(self, config: DataConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        self.config, self.split, self.fields, self.seed = config, split, fields, seed
        self.sets: dict[int, ClipSet] = {}
        self.whole = self.at(1)

    def at(self, downscale: int) -> ClipSet:
        """The clips at 1/downscale of their size; opened when first asked for."""
        if downscale not in self.sets:
            config = self.config
            if downscale > 1:
                spec = config.spec()
                config = replace(config, height=spec.height // downscale, width=spec.width // downscale)
            self.sets[downscale] = build_set(config, self.split, self.fields, self.seed)
        return self.sets[downscale]

    def __getitem__(self, key: ClipKey) -> Clip | ZooError:  # type: ignore[override]
        try:
            clip = self.at(key.downscale).clip(key.number, key.epoch, key.frames)
        except ZooError as mistake:
            return mistake
        return with_labels_for(self.config.labelled_fraction, clip) if self.split == "train" else clip


def with_labels_for(fraction: float, clip: Clip) -> Clip:
    """The clip of a training where only that share of videos is labelled: in the others every attribute is unknown.

    Which ones follows from their names, so it is the same in every epoch and for every seed, and a label that is there
    at a small share is there at a larger one.
    """
    video = clip["key"].rpartition("/")[0]  # type: ignore[attr-defined]
    if "attributes" not in clip or mix(crc32(video.encode())) < fraction * 2**63:
        return clip
    unknown = {name: torch.full_like(ids, -1) for name, ids in clip["attributes"].items()}
    return {**clip, "attributes": unknown}


def collate(clips: list[Clip | ZooError]) -> Clip | ZooError:
    """Clips to a batch; the first mistake, where there is one, in its place."""
    for clip in clips:
        if isinstance(clip, ZooError):
            return clip
    return default_collate(clips)  # type: ignore[no-any-return]


class ClipLoader(DataLoader[Clip]):
    """A loader that knows its position, so that Lightning saves it and goes on from it in mid-pass.

    waited: seconds that whoever asked for the next batch was kept waiting, the start of the workers among them.
    """

    def __init__(self, clips: KeyedClips, order: Order, workers: int) -> None:
        self.clips, self.order = clips, order
        self.bunches = Bunches(order, pixels, room_for_one(workers, order.ranks) if workers else 0)
        self.done, self.waited = 0, 0.0
        super().__init__(
            clips,
            batch_sampler=self.bunches,
            num_workers=workers,
            collate_fn=partial(collate_bunch, order.batch_size),
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=one_thread if workers else None,
        )

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Clip]:  # type: ignore[override]
        self.done = self.order.start
        asked = time.perf_counter()
        with ended(super().__iter__()) as bunches:
            learner = self.bunches.latest
            for made in chain.from_iterable(bunches):
                if isinstance(made, ZooError):
                    raise made
                used = waited = 0.0
                for batch in unpack(made):
                    self.done += self.order.step
                    given = time.perf_counter()
                    waited += given - asked
                    self.waited += given - asked
                    yield batch
                    asked = time.perf_counter()
                    used += asked - given
                learner.learn(made, used, waited)
        self.order.start = 0

    def first_clips(self, number: int) -> Iterator[Clip]:
        """The first clips of the data set, one a batch, the same whenever they are asked for."""
        for index in range(min(number, len(self.clips.whole))):
            yield default_collate([self.clips.whole.clip(index, 0, self.order.frames)])

    def state_dict(self) -> dict[str, int]:
        """The position, over all ranks."""
        return {"position": self.done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next pass at that position."""
        self.done = self.order.start = state["position"]


def share_of(clips: int, rank: int, ranks: int) -> range:
    """The clips of one rank: in order, none twice, the first ranks one more where they do not divide."""
    each, more = divmod(clips, ranks)
    start = rank * each + min(rank, more)
    return range(start, start + each + (rank < more))


class EvaluationLoader(DataLoader[Clip]):
    """A loader that raises a mistake as what it is.

    A rank without any clips is given one batch that is None: Lightning would leave the whole round out, and the other
    ranks would wait for it.
    """

    def __len__(self) -> int:
        return max(super().__len__(), 1)

    def __iter__(self) -> Iterator[Clip | None]:  # type: ignore[override]
        batch: Any = None
        for batch in super().__iter__():
            if isinstance(batch, ZooError):
                raise batch
            yield batch
        if batch is None:
            yield None


class VideoData(LightningDataModule):
    """Training clips and evaluation clips of one data set.

    budget: training clips over all ranks. fields: those a model wants. evaluation_clips, evaluation_frames: how many
    clips are evaluated on, and their length; always the first ones of the split ``val``, in order. stage: the model's
    curriculum.
    """

    def __init__(
        self,
        config: DataConfig,
        fields: frozenset[str],
        budget: int,
        seed: int,
        evaluation_clips: int,
        evaluation_frames: int,
        stage: Curriculum = no_curriculum,
    ) -> None:
        super().__init__()
        self.stage = stage
        self.config, self.fields, self.budget, self.seed = config, fields, budget, seed
        self.evaluation_clips, self.evaluation_frames = evaluation_clips, evaluation_frames

    def train_dataloader(self) -> ClipLoader:
        """The whole training as one pass."""
        clips = KeyedClips(self.config, "train", self.fields, self.seed)
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        config, length = self.config, len(clips.whole)
        order = Order(length, self.budget, config.batch_size, config.frames, self.seed, rank, ranks, self.stage)
        return ClipLoader(clips, order, config.workers)

    def val_dataloader(self) -> DataLoader[Clip]:
        """The evaluation clips in their order, the same for every model and seed; of several ranks, each its share: the
        first rank has the first ones."""
        config = replace(self.config, frames=self.evaluation_frames)
        clips = KeyedClips(config, "val", self.fields, self.seed)
        there = len(clips.whole)
        if there < self.evaluation_clips:
            raise ZooError(
                f"The data set `{self.config.name}` has {there} evaluation clips of "
                f"{self.evaluation_frames} frames; {self.evaluation_clips} were asked for. "
                f"Try: evaluation.clips={there}"
            )
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        share = share_of(self.evaluation_clips, rank, ranks)
        keys = [ClipKey(index, 0, self.evaluation_frames) for index in share]
        return EvaluationLoader(
            clips, self.config.batch_size, sampler=keys, collate_fn=collate, pin_memory=torch.cuda.is_available()
        )
