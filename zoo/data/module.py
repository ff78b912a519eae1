"""The data module. The order of the clips is a pure function of integers, so a resumed run sees the same clips.

Training is one pass over the positions 0 … budget-1. Position p lies in epoch p // N and is entry p % N of that epoch's
permutation of the N clips, which depends on the seed alone. Workers hold no state, so training can continue from any
position, and a curriculum can depend on the position.
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
from zoo.data.batch_groups import (
    BatchGroupSampler,
    check_shared_memory,
    collate_group,
    free_shared_memory,
    shared_memory_budget,
)
from zoo.data.selection import choose_clips
from zoo.data.shared_memory import unpack_batches
from zoo.data.workers import closing_workers, init_worker
from zoo.errors import ZooError
from zoo.randomness import generator, mix
from zoo.types import Clip, CurriculumStage, Split


class ClipKey(NamedTuple):
    """Identifies a clip within a data set. downscale: the clip has 1/downscale of its height and width."""

    number: int
    epoch: int
    frames: int
    downscale: int = 1


Curriculum = Callable[[int], CurriculumStage]
"""Maps the number of clips seen to the curriculum stage of the next clips."""


def no_curriculum(clips_seen: int) -> CurriculumStage:
    """Full length and full size from the start."""
    return CurriculumStage()


class Order(Sampler[list[ClipKey]]):
    """Batch sampler: the clip keys of one rank, in order. ``start`` is the position, over all ranks, to begin at.

    curriculum: all clips of a step have the stage of the first position of that step, on every rank. The stage is part
    of the key, so that persistent workers follow it too.
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
        curriculum: Curriculum = no_curriculum,
    ) -> None:
        self.clips, self.budget, self.frames, self.seed = clips, budget, frames, seed
        self.batch_size, self.rank, self.ranks = batch_size, rank, ranks
        self.curriculum = curriculum
        self.start = 0

    @property
    def clips_per_step(self) -> int:
        """Positions that one step consumes, over all ranks."""
        return self.batch_size * self.ranks

    def __len__(self) -> int:
        """Number of steps. An incomplete last step is dropped, unless it is the only one."""
        return max(self.budget // self.clips_per_step, 1)

    def key(self, position: int) -> ClipKey:
        """Key of the clip at a position of the training."""
        epoch, index = divmod(position, self.clips)
        order = self._permutation(epoch)
        stage = self.curriculum(position - position % self.clips_per_step)
        return ClipKey(int(order[index]), epoch, min(stage.frames or self.frames, self.frames), stage.downscale)

    def __iter__(self) -> Iterator[list[ClipKey]]:
        for step in range(self.start // self.clips_per_step, len(self)):
            first = step * self.clips_per_step + self.rank
            yield [self.key(first + i * self.ranks) for i in range(self.batch_size)]

    def _permutation(self, epoch: int) -> torch.Tensor:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._order = torch.randperm(self.clips, generator=generator(self.seed, epoch))
        return self._order


WAIT_SECONDS = 900
"""Longest wait for a batch from the data-loading processes."""
MUCH_MEMORY = 4 << 30
"""Free shared memory, in bytes, above which no batch is measured before the loading processes start."""


def relative_pixels(batch: list[ClipKey]) -> float:
    """Pixels per clip, in units of one full-size frame."""
    return batch[0].frames / batch[0].downscale ** 2


class KeyedClips(Dataset[Clip]):
    """One split of a data set as a PyTorch data set, at every size that the curriculum uses.

    A ZooError is returned as a value: raised in a worker, PyTorch would bury its message in the worker's stack trace.
    """

    def __init__(self, config: DataConfig, split: Split, fields: frozenset[str], seed: int) -> None:
        self.config, self.split, self.fields, self.seed = config, split, fields, seed
        self.sets: dict[int, ClipSet] = {}
        self.full_size = self.at_scale(1)

    def at_scale(self, downscale: int) -> ClipSet:
        """The clips at 1/downscale of their height and width; opened at the first call."""
        if downscale not in self.sets:
            config = self.config
            if downscale > 1:
                spec = config.spec()
                config = replace(config, height=spec.height // downscale, width=spec.width // downscale)
            self.sets[downscale] = build_set(config, self.split, self.fields, self.seed)
        return self.sets[downscale]

    def __getitem__(self, key: ClipKey) -> Clip | ZooError:  # type: ignore[override]
        try:
            clip = self.at_scale(key.downscale).clip(key.number, key.epoch, key.frames)
        except ZooError as error:
            return error
        return mask_labels(clip, self.config.labelled_fraction) if self.split == "train" else clip


def mask_labels(clip: Clip, labelled_fraction: float) -> Clip:
    """Set every attribute to -1 (unknown), except in the given fraction of the videos.

    The choice depends on the name of the video alone, so it is the same in every epoch and for every seed, and a video
    that is labelled at a small fraction is labelled at every larger one.
    """
    video = clip["key"].rpartition("/")[0]  # type: ignore[attr-defined]
    if "attributes" not in clip or mix(crc32(video.encode())) < labelled_fraction * 2**63:
        return clip
    unknown = {name: torch.full_like(ids, -1) for name, ids in clip["attributes"].items()}
    return {**clip, "attributes": unknown}


def collate(clips: list[Clip | ZooError]) -> Clip | ZooError:
    """Collate clips to a batch, or return the first ZooError among them."""
    for clip in clips:
        if isinstance(clip, ZooError):
            return clip
    return default_collate(clips)


class ClipLoader(DataLoader[Clip]):
    """Loader of training clips with a position, which Lightning saves and restores in the middle of a pass.

    wait_seconds: time that training has waited for batches so far, including the start of the workers.
    """

    def __init__(self, clips: KeyedClips, order: Order, workers: int) -> None:
        self.clips, self.order = clips, order
        max_bytes = shared_memory_budget(workers, order.ranks) if workers else 0
        self.batch_groups = BatchGroupSampler(order, relative_pixels, max_bytes)
        self.position, self.wait_seconds = 0, 0.0
        super().__init__(
            clips,
            batch_sampler=self.batch_groups,
            num_workers=workers,
            collate_fn=partial(collate_group, order.batch_size),
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=init_worker if workers else None,
            timeout=WAIT_SECONDS if workers else 0,
        )
        self.waiting = False  # for a batch, between two steps

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Clip]:  # type: ignore[override]
        self.position = self.order.start
        if self.num_workers and (free_shared_memory() or MUCH_MEMORY) < MUCH_MEMORY:
            sample = self.clips.full_size.clip(0, 0, self.order.frames)
            check_shared_memory(sample, self.order.batch_size, self.num_workers, self.order.ranks)
        requested = time.perf_counter()
        with closing_workers(super().__iter__()) as results:
            groups = self.batch_groups.latest
            for result in chain.from_iterable(self._received(results)):
                if isinstance(result, ZooError):
                    raise result
                training_seconds = wait_seconds = 0.0
                for batch in unpack_batches(result):
                    self.position += self.order.clips_per_step
                    delivered = time.perf_counter()
                    wait_seconds += delivered - requested
                    self.wait_seconds += delivered - requested
                    yield batch
                    requested = time.perf_counter()
                    training_seconds += requested - delivered
                groups.update(result, training_seconds, wait_seconds)
        self.order.start = 0

    def _received(self, results: Iterator[Any]) -> Iterator[Any]:
        """The results of the loading processes; ``waiting`` is true while one is waited for."""
        while True:
            self.waiting = True
            try:
                result = next(results, None)
            finally:
                self.waiting = False
            if result is None:
                return
            yield result

    def first_clips(self, number: int) -> Iterator[Clip]:
        """Yield the first clips of the data set, one per batch; the same at every call."""
        for index in range(min(number, len(self.clips.full_size))):
            yield default_collate([self.clips.full_size.clip(index, 0, self.order.frames)])

    def state_dict(self) -> dict[str, int]:
        """Position of the next clip, over all ranks."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start the next pass at the saved position."""
        self.position = self.order.start = state["position"]


def rank_share(clips: int, rank: int, ranks: int) -> range:
    """Evaluation clips of one rank: contiguous and disjoint; the first ranks have one more if the division has a
    remainder."""
    share, remainder = divmod(clips, ranks)
    start = rank * share + min(rank, remainder)
    return range(start, start + share + (rank < remainder))


class EvaluationLoader(DataLoader[Clip]):
    """Loader of evaluation clips; raises the ZooErrors that the data set returns.

    A rank without clips yields one batch that is None: Lightning would otherwise skip validation on this rank, and the
    other ranks would wait for it.
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
    """Training and evaluation clips of one data set.

    budget: training clips, over all ranks. fields: fields that the model needs. evaluation_clips, evaluation_frames:
    number and length of the evaluation clips, chosen from the split `val` by the rule of the data set. curriculum:
    curriculum of the model.
    """

    def __init__(
        self,
        config: DataConfig,
        fields: frozenset[str],
        budget: int,
        seed: int,
        evaluation_clips: int,
        evaluation_frames: int,
        curriculum: Curriculum = no_curriculum,
    ) -> None:
        super().__init__()
        self.curriculum = curriculum
        self.config, self.fields, self.budget, self.seed = config, fields, budget, seed
        self.evaluation_clips, self.evaluation_frames = evaluation_clips, evaluation_frames

    def train_dataloader(self) -> ClipLoader:
        """Loader of all training clips, in one pass."""
        clips = KeyedClips(self.config, "train", self.fields, self.seed)
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        config, length = self.config, len(clips.full_size)
        order = Order(length, self.budget, config.batch_size, config.frames, self.seed, rank, ranks, self.curriculum)
        return ClipLoader(clips, order, config.workers)

    def first_training_batches(self, number: int) -> Iterator[tuple[int, Clip]]:
        """Yield the first ``number`` training clips in batches, each with the index of its first clip.

        They are the same at every call and on every rank: a batch is as large as that of a step over all ranks. Raises
        ZooError for a clip that cannot be read.
        """
        clips = KeyedClips(self.config, "train", self.fields, self.seed)
        number = min(number, len(clips.full_size))
        size = self.config.batch_size * (self.trainer.world_size if self.trainer else 1)
        for first in range(0, number, size):
            keys = [ClipKey(index, 0, self.config.frames) for index in range(first, min(first + size, number))]
            batch = collate([clips[key] for key in keys])
            if isinstance(batch, ZooError):
                raise batch
            yield first, batch

    @property
    def evaluation_share(self) -> range:
        """The evaluation clips of this rank: positions in the order in which the clips are chosen."""
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return rank_share(self.evaluation_clips, rank, ranks)

    def val_dataloader(self) -> DataLoader[Clip]:
        """Loader of the evaluation clips, the same for every model and seed; every rank has a contiguous share.

        Raises ZooError if there are fewer clips than ``evaluation_clips``.
        """
        config = replace(self.config, frames=self.evaluation_frames)
        clips = KeyedClips(config, "val", self.fields, self.seed)
        available = len(clips.full_size)
        if available < self.evaluation_clips:
            raise ZooError(
                f"evaluation.clips is {self.evaluation_clips}, but the data set `{self.config.name}` has {available} "
                f"evaluation clips of {self.evaluation_frames} frames. Try: evaluation.clips={available}"
            )
        chosen = choose_clips(config.selection, available, self.evaluation_clips)
        keys = [ClipKey(chosen[position], 0, self.evaluation_frames) for position in self.evaluation_share]
        return EvaluationLoader(
            clips, self.config.batch_size, sampler=keys, collate_fn=collate, pin_memory=torch.cuda.is_available()
        )
