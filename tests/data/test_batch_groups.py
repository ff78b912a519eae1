"""Several batches are transferred at a time, without any effect on the batches."""

import atexit
import gc
import multiprocessing
import shutil
from collections import deque
from itertools import accumulate
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import default_collate

from zoo.data import batch_groups
from zoo.data.base import ClipSet
from zoo.data.batch_groups import BatchGroups, BatchGroupSampler, collate_group, shared_memory_budget
from zoo.data.module import ClipKey, ClipLoader, KeyedClips, Order, relative_pixels
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.data.shared_memory import pack_batches, unpack_batches
from zoo.errors import ZooError
from zoo.types import CurriculumStage

CONFIG = PuppetsConfig(height=16, width=16, frames=3, view="person")


def packed_batches(count: int, floats: int = 16):
    """Batches with this many numbers of 4 bytes."""
    return pack_batches([[{"video": torch.zeros(floats)}]] * count)


def test_group_size_is_limited_by_half_a_second_of_training_and_by_memory():
    made = BatchGroups([[0]] * 99, lambda batch: 1.0, max_bytes=64 * 12)
    keys = iter(made)

    def size_after(count: int, used: float, floats: int = 16, waited: float = 0.0) -> int:
        next(keys)
        made.update(packed_batches(count, floats), used, waited)
        return made.group_size(1.0)

    assert size_after(1, 0.1) == 5
    assert size_after(4, 0.4) == 5
    assert size_after(2, 0.09) == 11  # 0.5 / 0.045
    assert size_after(2, 0.01) == 12  # max_bytes: 12 of 64 bytes
    assert size_after(2, 0.01, floats=32) == 6
    assert size_after(1, 0.51) == 1
    assert size_after(1, 0.01, floats=1000) == 1
    made.max_bytes = 1e9
    assert size_after(1, 0.0) == 16
    assert size_after(1, 0.005, waited=0.004) == 16, "a transfer may take as long as a step"
    assert size_after(4, 0.4, waited=0.11) == 5


def test_slow_loading_reduces_groups_to_one_batch():
    """A step takes 0.04 seconds, of which a quarter is tolerated, and so are TRANSFER_SECONDS, 0.02."""
    made = BatchGroups([[0]] * 99, lambda batch: 1.0, max_bytes=1e9)
    keys = iter(made)

    def size_after(waited: float) -> int:
        next(keys)
        made.update(packed_batches(1), 0.04, waited)
        return made.group_size(1.0)

    assert size_after(0.02) == 12
    assert size_after(0.13) == 1  # a delay of 0.1
    assert size_after(0.0) == 1  # 0.08 - 0.03: several groups that are ready at the same time prove little
    assert size_after(0.0) == 1  # 0.04 - 0.03
    assert size_after(0.0) == 12  # 0.008 - 0.03


def test_group_size_changes_during_a_pass_without_losing_keys():
    groups = BatchGroupSampler([[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]], lambda batch: 1.0, max_bytes=1e9)
    keys = iter(groups)
    made = groups.latest
    assert next(keys) == [0, 1]
    made.update(packed_batches(1), 0.16, 0.0)
    assert next(keys) == [2, 3, 4, 5, 6, 7]
    assert next(iter(groups)) == [0, 1], "a pass begins with a group of one, so the first batch arrives soon"
    made.update(packed_batches(3), 3 * 0.12, 0.0)
    assert list(keys) == [[8, 9, 10, 11]]


def test_growing_batches_stay_within_max_bytes():
    """Ten small batches, then batches of four times the weight. Measurements of small groups still arrive after large
    ones were requested."""
    made = BatchGroups([[size, size] for size in [1] * 10 + [4] * 9], lambda batch: float(batch[0]), max_bytes=64 * 8)
    keys = iter(made)
    assert [next(keys) for _ in range(4)] == [[1, 1]] * 4
    made.update(packed_batches(1), 0.01, 0.0)
    assert next(keys) == [1, 1] * 6  # max_bytes allows eight, but the following ones have another weight
    assert next(keys) == [4, 4] * 2
    for _ in range(3):
        made.update(packed_batches(1), 0.05, 0.0)
    assert next(keys) == [4, 4] * 2
    made.update(packed_batches(6), 0.6, 0.0)  # a small batch takes 0.1 seconds, so a large one is expected to take 0.4
    assert next(keys) == [4, 4]
    made.update(packed_batches(2, floats=48), 0.2, 0.0)  # 192 bytes, 0.1 seconds
    assert list(keys) == [[4, 4] * 2] * 2


def test_weight_of_a_batch_is_its_number_of_pixels():
    assert relative_pixels([ClipKey(5, 1, 8)] * 3) == 8
    assert relative_pixels([ClipKey(5, 1, 8, downscale=4)]) == 0.5
    assert loader(0).batch_groups.weight is relative_pixels


def test_training_time_of_a_step_is_measured(monkeypatch):
    """Steps take 0.09 seconds by a fake clock."""
    now = [0.0]
    monkeypatch.setattr("zoo.data.module.time.perf_counter", lambda: now[0])
    watched = loader(1)
    for _ in watched:
        now[0] += 0.09
    assert watched.batch_groups.latest.group_size(3.0) == 5


def test_collate_group_keeps_the_batches_before_an_error():
    clips = [{"video": torch.full((2,), float(number))} for number in range(6)]
    (whole,) = collate_group(2, clips)
    assert [batch["video"][:, 0].tolist() for batch in unpack_batches(whole)] == [[0, 1], [2, 3], [4, 5]]
    torn = [*clips[:3], ZooError("torn"), clips[4], ZooError("worse")]
    before, error = collate_group(2, torn)
    assert [batch["video"][:, 0].tolist() for batch in unpack_batches(before)] == [[0, 1]]
    assert str(error) == "torn"
    (error,) = collate_group(2, [clips[0], ZooError("first")])
    assert str(error) == "first"


def test_worker_holds_recent_groups_but_no_single_batches(monkeypatch):
    held = deque(maxlen=batch_groups._recent_memory.maxlen)
    monkeypatch.setattr(batch_groups, "_recent_memory", held)
    clips = [{"video": torch.zeros(2)}] * 6
    collate_group(2, clips)
    assert not held, "the training process holds nothing"
    monkeypatch.setattr(batch_groups, "get_worker_info", lambda: "a worker")
    collate_group(6, clips)
    collate_group(3, [*clips[:3], ZooError("torn"), *clips[:2]])
    assert not held
    made = [collate_group(2, clips)[0]["memory"].data_ptr() for _ in range(5)]
    assert [memory.data_ptr() for memory in held] == made[2:]
    collate_group(6, clips)
    assert not held, "single batches may be too large to be held"


def test_shared_memory_budget_is_divided_by_groups_and_ranks(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free={"/dev/shm": 64 << 20}[place]))
    # per worker: two prefetched groups, one in use, and one being made
    assert shared_memory_budget(workers=2, ranks=1) == (32 << 20) / 8
    assert shared_memory_budget(workers=2, ranks=2) == (16 << 20) / 8
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1 << 40))
    assert shared_memory_budget(workers=3, ranks=2) == (256 << 20) / 12

    def raise_missing(place):
        raise FileNotFoundError(place)

    monkeypatch.setattr(shutil, "disk_usage", raise_missing)
    assert shared_memory_budget(workers=2, ranks=1) == (128 << 20) / 8


@pytest.fixture
def groups_of_three(monkeypatch):
    """Groups of three, however fast this machine is, as soon as the first group has arrived: their sizes."""
    sizes = []
    update = BatchGroups.update

    def record_size(self, packed, used, waited):
        sizes.append(len(packed["layouts"]))
        update(self, packed, used, waited)

    monkeypatch.setattr(BatchGroups, "update", record_size)
    monkeypatch.setattr(BatchGroups, "group_size", lambda self, weight: 3 if sizes else 1)
    return sizes


def loader(workers: int, budget: int = 48, **changes) -> ClipLoader:
    order = Order(**{"clips": 20, "budget": budget, "batch_size": 2, "frames": 3, "seed": 1} | changes)
    return ClipLoader(KeyedClips(CONFIG, "train", frozenset(), 1), order, workers)


def single_batches(**changes):
    """The batches, made one by one."""
    of_order = loader(0, **changes)
    for keys in of_order.order:
        yield default_collate([of_order.clips[key] for key in keys])


def test_groups_give_the_same_batches_as_no_workers(groups_of_three):
    together = loader(2)
    seen, positions = [], []
    for batch in together:
        seen.append((batch["key"], batch["video"]))
        positions.append(together.state_dict()["position"])
    assert groups_of_three[:4] == [1] * 4
    assert set(groups_of_three[5:-1]) == {3}
    assert positions == list(range(2, 50, 2))
    assert len(together) == len(seen) == 24
    for (keys, video), expected in zip(seen, single_batches(), strict=True):
        assert keys == expected["key"]
        assert torch.equal(video, expected["video"])


def test_without_workers_groups_have_one_batch():
    each = loader(0, budget=8)
    assert len(list(each)) == 4
    assert each.batch_groups.latest.group_size(1.0) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_two_iterators_of_one_loader_are_independent(workers):
    keys = [batch["key"] for batch in single_batches()]
    shared = loader(workers)
    first = iter(shared)
    begun = [next(first)["key"] for _ in range(3)]
    assert [batch["key"] for batch in shared] == keys
    assert begun + [batch["key"] for batch in first] == keys


def test_workers_and_exit_handlers_are_removed_after_a_pass():
    before = atexit._ncallbacks()
    begun = iter(loader(2))
    next(begun)
    assert multiprocessing.active_children()
    begun.close()
    assert not multiprocessing.active_children()
    assert len(list(loader(2))) == 24
    assert not multiprocessing.active_children()
    gc.collect()
    assert atexit._ncallbacks() - before <= 4  # PyTorch's own, one per process


@pytest.mark.parametrize("stopped", range(8, 14))
def test_resuming_within_a_group_continues_after_the_last_step(stopped, groups_of_three):
    keys = [batch["key"] for batch in single_batches()]
    first = loader(2)
    begun = iter(first)
    assert [next(begun)["key"] for _ in range(stopped)] == keys[:stopped]
    del begun
    second = loader(2)
    second.load_state_dict(first.state_dict())
    assert [batch["key"] for batch in second] == keys[stopped:]


def test_group_ends_where_the_curriculum_stage_changes(groups_of_three):
    def growing(seen: int) -> CurriculumStage:
        return CurriculumStage(frames=1 if seen < 22 else 2 if seen < 34 else None)

    frames = [batch["video"].shape[1] for batch in loader(2, curriculum=growing)]
    assert frames == [1] * 11 + [2] * 6 + [3] * 7
    assert {11, 17} < set(accumulate(groups_of_three))


class TornClips(ClipSet):
    """One clip of an epoch is unusable."""

    def __len__(self) -> int:
        return 20

    def clip(self, index: int, epoch: int, frames: int):
        if index == 5:
            raise ZooError("clip 5 is torn")
        return {"video": torch.zeros(1, 3, 4, 4), "key": str(index)}


@pytest.mark.parametrize("seed", range(4))
def test_every_batch_before_an_error_is_used(seed, groups_of_three, monkeypatch):
    monkeypatch.setattr("zoo.data.module.build_set", lambda *_: TornClips())
    before = next(step for step, keys in enumerate(loader(0, seed=seed).order) if 5 in [key.number for key in keys])
    seen = []
    with pytest.raises(ZooError, match=r"^clip 5 is torn$"):
        seen.extend(batch["key"] for batch in loader(2, seed=seed))
    assert len(seen) == before
