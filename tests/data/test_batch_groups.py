"""Several batches come out of a loading process at a time, and nobody sees a difference."""

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

from zoo.data import bunches
from zoo.data.base import ClipSet
from zoo.data.bunches import Bunches, Pass, collate_bunch, room_for_one
from zoo.data.module import ClipKey, ClipLoader, KeyedClips, Order, pixels
from zoo.data.packing import pack, unpack
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.errors import ZooError
from zoo.types import CurriculumStage

CONFIG = PuppetsConfig(height=16, width=16, frames=3, view="person")


def packed_batches(count: int, floats: int = 16):
    """Batches of so many numbers, 4 bytes each."""
    return pack([[{"video": torch.zeros(floats)}]] * count)


def test_a_bunch_is_what_a_training_uses_in_half_a_second_and_there_is_room_for():
    made = Pass([[0]] * 99, lambda batch: 1.0, room=64 * 12)
    drawn = iter(made)

    def learnt(count: int, used: float, floats: int = 16, waited: float = 0.0) -> int:
        next(drawn)
        made.learn(packed_batches(count, floats), used, waited)
        return made.size(1.0)

    assert learnt(1, 0.1) == 5
    assert learnt(4, 0.4) == 5
    assert learnt(2, 0.09) == 11  # 0.5 / 0.045
    assert learnt(2, 0.01) == 12  # no room for more of 64 bytes
    assert learnt(2, 0.01, floats=32) == 6
    assert learnt(1, 0.51) == 1
    assert learnt(1, 0.01, floats=1000) == 1
    made.room = 1e9
    assert learnt(1, 0.0) == 16
    assert learnt(1, 0.005, waited=0.004) == 16, "handing over takes as long as a step"
    assert learnt(4, 0.4, waited=0.11) == 5


def test_where_clips_are_made_slowly_they_come_one_by_one():
    """A step of 0.04 seconds, of which a quarter does not count, nor does what handing over may take, 0.02."""
    made = Pass([[0]] * 99, lambda batch: 1.0, room=1e9)
    drawn = iter(made)

    def learnt(waited: float) -> int:
        next(drawn)
        made.learn(packed_batches(1), 0.04, waited)
        return made.size(1.0)

    assert learnt(0.02) == 12
    assert learnt(0.13) == 1  # 0.1 too late
    assert learnt(0.0) == 1  # 0.08 - 0.03: several that were ready at the same time say little
    assert learnt(0.0) == 1  # 0.04 - 0.03
    assert learnt(0.0) == 12  # 0.008 - 0.03


def test_a_bunch_changes_its_size_on_the_way_and_leaves_out_no_key():
    bunches = Bunches([[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]], lambda batch: 1.0, room=1e9)
    drawn = iter(bunches)
    made = bunches.latest
    assert next(drawn) == [0, 1]
    made.learn(packed_batches(1), 0.16, 0.0)
    assert next(drawn) == [2, 3, 4, 5, 6, 7]
    assert next(iter(bunches)) == [0, 1], "a pass begins with one, so that the first batch comes soon"
    made.learn(packed_batches(3), 3 * 0.12, 0.0)
    assert list(drawn) == [[8, 9, 10, 11]]


def test_batches_that_grow_on_the_way_do_not_outgrow_the_room():
    """Ten small batches, then those of four times the weight. What was learnt of small ones still comes when large
    ones have long been asked for."""
    made = Pass([[size, size] for size in [1] * 10 + [4] * 9], lambda batch: float(batch[0]), room=64 * 8)
    drawn = iter(made)
    assert [next(drawn) for _ in range(4)] == [[1, 1]] * 4
    made.learn(packed_batches(1), 0.01, 0.0)
    assert next(drawn) == [1, 1] * 6  # there is room for eight, but those behind are of another form
    assert next(drawn) == [4, 4] * 2
    for _ in range(3):
        made.learn(packed_batches(1), 0.05, 0.0)
    assert next(drawn) == [4, 4] * 2
    made.learn(packed_batches(6), 0.6, 0.0)  # a small one takes 0.1 seconds, so that a large one should take 0.4
    assert next(drawn) == [4, 4]
    made.learn(packed_batches(2, floats=48), 0.2, 0.0)  # 192 bytes, 0.1 seconds
    assert list(drawn) == [[4, 4] * 2] * 2


def test_a_batch_weighs_what_its_clips_show():
    assert pixels([ClipKey(5, 1, 8)] * 3) == 8
    assert pixels([ClipKey(5, 1, 8, downscale=4)]) == 0.5
    assert loader(0).bunches.weight is pixels


def test_a_training_step_is_measured(monkeypatch):
    """0.09 seconds each, by a clock of our own."""
    now = [0.0]
    monkeypatch.setattr("zoo.data.module.time.perf_counter", lambda: now[0])
    watched = loader(1)
    for _ in watched:
        now[0] += 0.09
    assert watched.bunches.latest.size(3.0) == 5


def test_of_a_bunch_with_a_mistake_come_the_batches_before_it():
    clips = [{"video": torch.full((2,), float(number))} for number in range(6)]
    (whole,) = collate_bunch(2, clips)
    assert [batch["video"][:, 0].tolist() for batch in unpack(whole)] == [[0, 1], [2, 3], [4, 5]]
    torn = [*clips[:3], ZooError("torn"), clips[4], ZooError("worse")]
    before, mistake = collate_bunch(2, torn)
    assert [batch["video"][:, 0].tolist() for batch in unpack(before)] == [[0, 1]]
    assert str(mistake) == "torn"
    (mistake,) = collate_bunch(2, [clips[0], ZooError("first")])
    assert str(mistake) == "first"


def test_a_worker_holds_its_last_bunches_and_no_batch_by_itself(monkeypatch):
    held = deque(maxlen=bunches._given.maxlen)
    monkeypatch.setattr(bunches, "_given", held)
    clips = [{"video": torch.zeros(2)}] * 6
    collate_bunch(2, clips)
    assert not held, "in the process that trains nothing is held"
    monkeypatch.setattr(bunches, "get_worker_info", lambda: "a worker")
    collate_bunch(6, clips)
    collate_bunch(3, [*clips[:3], ZooError("torn"), *clips[:2]])
    assert not held
    made = [collate_bunch(2, clips)[0]["memory"].data_ptr() for _ in range(5)]
    assert [memory.data_ptr() for memory in held] == made[2:]
    collate_bunch(6, clips)
    assert not held, "where batches become so large that they come one by one there is no room to hold anything"


def test_room_is_shared_by_all_bunches_of_all_ranks(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free={"/dev/shm": 64 << 20}[place]))
    assert room_for_one(workers=2, ranks=1) == (32 << 20) / 8  # of each two wait, one is in use, and one is made
    assert room_for_one(workers=2, ranks=2) == (16 << 20) / 8
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1 << 40))
    assert room_for_one(workers=3, ranks=2) == (256 << 20) / 12

    def nowhere(place):
        raise FileNotFoundError(place)

    monkeypatch.setattr(shutil, "disk_usage", nowhere)
    assert room_for_one(workers=2, ranks=1) == (128 << 20) / 8


@pytest.fixture
def by_three(monkeypatch):
    """Bunches of three, however fast this machine is, as soon as the first batch has come: their sizes."""
    sizes = []
    learn = Pass.learn

    def after_three(self, packed, used, waited):
        sizes.append(len(packed["layouts"]))
        learn(self, packed, used, waited)

    monkeypatch.setattr(Pass, "learn", after_three)
    monkeypatch.setattr(Pass, "size", lambda self, weight: 3 if sizes else 1)
    return sizes


def loader(workers: int, budget: int = 48, **changes) -> ClipLoader:
    order = Order(**{"clips": 20, "budget": budget, "batch_size": 2, "frames": 3, "seed": 1} | changes)
    return ClipLoader(KeyedClips(CONFIG, "train", frozenset(), 1), order, workers)


def alone(**changes):
    """The batches, each made by itself."""
    of_order = loader(0, **changes)
    for keys in of_order.order:
        yield default_collate([of_order.clips[key] for key in keys])


def test_bunches_give_the_batches_of_no_workers(by_three):
    together = loader(2)
    seen, positions = [], []
    for batch in together:
        seen.append((batch["key"], batch["video"]))
        positions.append(together.state_dict()["position"])
    assert by_three[:4] == [1] * 4
    assert set(by_three[5:-1]) == {3}
    assert positions == list(range(2, 50, 2))
    assert len(together) == len(seen) == 24
    for (keys, video), expected in zip(seen, alone(), strict=True):
        assert keys == expected["key"]
        assert torch.equal(video, expected["video"])


def test_without_workers_each_batch_comes_by_itself():
    each = loader(0, budget=8)
    assert len(list(each)) == 4
    assert each.bunches.latest.size(1.0) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_two_may_be_in_one_loader_at_a_time(workers):
    keys = [batch["key"] for batch in alone()]
    shared = loader(workers)
    first = iter(shared)
    begun = [next(first)["key"] for _ in range(3)]
    assert [batch["key"] for batch in shared] == keys
    assert begun + [batch["key"] for batch in first] == keys


def test_nothing_is_left_of_a_pass():
    before = atexit._ncallbacks()
    begun = iter(loader(2))
    next(begun)
    assert multiprocessing.active_children()
    begun.close()
    assert not multiprocessing.active_children()
    assert len(list(loader(2))) == 24
    assert not multiprocessing.active_children()
    gc.collect()
    assert atexit._ncallbacks() - before <= 4  # PyTorch's own, one for each process


@pytest.mark.parametrize("stopped", range(8, 14))
def test_a_training_that_stops_within_a_bunch_goes_on_behind_its_last_step(stopped, by_three):
    keys = [batch["key"] for batch in alone()]
    first = loader(2)
    begun = iter(first)
    assert [next(begun)["key"] for _ in range(stopped)] == keys[:stopped]
    del begun
    second = loader(2)
    second.load_state_dict(first.state_dict())
    assert [batch["key"] for batch in second] == keys[stopped:]


def test_a_bunch_ends_where_a_curriculum_changes_its_stage(by_three):
    def growing(seen: int) -> CurriculumStage:
        return CurriculumStage(frames=1 if seen < 22 else 2 if seen < 34 else None)

    frames = [batch["video"].shape[1] for batch in loader(2, stage=growing)]
    assert frames == [1] * 11 + [2] * 6 + [3] * 7
    assert {11, 17} < set(accumulate(by_three))


class TornClips(ClipSet):
    """One clip of an epoch cannot be used."""

    def __len__(self) -> int:
        return 20

    def clip(self, index: int, epoch: int, frames: int):
        if index == 5:
            raise ZooError("clip 5 is torn")
        return {"video": torch.zeros(1, 3, 4, 4), "key": str(index)}


@pytest.mark.parametrize("seed", range(4))
def test_every_batch_before_a_mistake_is_trained_on(seed, by_three, monkeypatch):
    monkeypatch.setattr("zoo.data.module.build_set", lambda *_: TornClips())
    before = next(step for step, keys in enumerate(loader(0, seed=seed).order) if 5 in [key.number for key in keys])
    seen = []
    with pytest.raises(ZooError, match=r"^clip 5 is torn$"):
        seen.extend(batch["key"] for batch in loader(2, seed=seed))
    assert len(seen) == before
