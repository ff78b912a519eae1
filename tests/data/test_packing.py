"""Batches come out of a loading process in one piece."""

import torch
from torch.utils.data import default_collate
from torch.utils.data._utils.pin_memory import pin_memory

from zoo.data.base import DATA_SETS, build_set
from zoo.data.module import ClipLoader, KeyedClips, Order
from zoo.data.packing import ALIGNED, pack, unpack
from zoo.types import FIELDS

CONFIG = DATA_SETS.config({"name": "puppets", "height": 16, "width": 17, "frames": 3, "condition": "edges"})


def assert_same(batch, expected):
    assert set(batch) == set(expected)
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_same(batch[name], value)
        elif isinstance(value, torch.Tensor):
            assert (batch[name].dtype, batch[name].stride()) == (value.dtype, value.stride())
            assert torch.equal(batch[name], value)
        else:
            assert batch[name] == value


def test_a_packed_batch_is_the_batch():
    data = build_set(CONFIG, "train", frozenset(FIELDS), 0)
    clips = [data.clip(index, 0, 3) for index in range(3)]
    packed = pack([clips])
    assert [set(rest) for rest in packed["rests"]] == [{"key"}]
    (batch,) = unpack(packed)
    assert_same(batch, default_collate(clips))
    assert batch["labels"].dtype == torch.int64
    assert batch["video"].data_ptr() % ALIGNED == packed["memory"].data_ptr() % ALIGNED


def test_batches_of_any_form_share_one_memory():
    data = build_set(CONFIG, "train", frozenset(FIELDS), 0)
    batches = [[data.clip(index, 0, frames) for index in range(frames)] for frames in (3, 1, 2)]
    made = list(unpack(pack(batches)))
    for batch, clips in zip(made, batches, strict=True):
        assert_same(batch, default_collate(clips))
    assert len({batch["video"].untyped_storage().data_ptr() for batch in made}) == 1


def test_what_holds_no_tensor_is_there_too():
    clips = [{"video": torch.zeros(2), "key": key, "attributes": {}, "number": 3} for key in "ab"]
    (batch,) = unpack(pack([clips]))
    assert_same(batch, default_collate(clips))


def test_a_batch_that_pytorch_pins_is_the_batch(monkeypatch):
    """Pinning walks through what a worker sent, and makes lists of tuples. Here is nothing to pin for."""
    data = build_set(CONFIG, "train", frozenset(FIELDS), 0)
    clips = [data.clip(index, 0, 3) for index in range(2)]
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, device=None: pinned.append(tensor) or tensor)
    (batch,) = unpack(pin_memory(pack([clips])))
    assert_same(batch, default_collate(clips))
    assert len(pinned) == 1


def test_workers_give_the_batches_of_no_workers():
    def batches(workers):
        clips = KeyedClips(CONFIG, "train", frozenset(FIELDS), 0)
        return list(ClipLoader(clips, Order(len(clips.whole), 12, 4, 3, 0), workers))

    for batch, expected in zip(batches(2), batches(0), strict=True):
        assert_same(batch, expected)
        memories = {value.untyped_storage().data_ptr() for value in batch.values() if isinstance(value, torch.Tensor)}
        assert len(memories) == 1
