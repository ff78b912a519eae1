"""Batches are packed into a single block of shared memory."""

import torch
from torch.utils.data import default_collate
from torch.utils.data._utils.pin_memory import pin_memory

from zoo.data.base import DATA_SETS, build_set
from zoo.data.module import ClipLoader, KeyedClips, Order
from zoo.data.shared_memory import ALIGNMENT, pack_batches, unpack_batches
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


def test_packing_preserves_a_batch():
    data = build_set(CONFIG, "train", frozenset(FIELDS), 0)
    clips = [data.clip(index, 0, 3) for index in range(3)]
    packed = pack_batches([clips])
    assert [set(rest) for rest in packed["rests"]] == [{"key"}]
    (batch,) = unpack_batches(packed)
    assert_same(batch, default_collate(clips))
    assert batch["labels"].dtype == torch.int64
    assert batch["video"].data_ptr() % ALIGNMENT == packed["memory"].data_ptr() % ALIGNMENT


def test_batches_of_different_shapes_share_one_block():
    data = build_set(CONFIG, "train", frozenset(FIELDS), 0)
    batches = [[data.clip(index, 0, frames) for index in range(frames)] for frames in (3, 1, 2)]
    made = list(unpack_batches(pack_batches(batches)))
    for batch, clips in zip(made, batches, strict=True):
        assert_same(batch, default_collate(clips))
    assert len({batch["video"].untyped_storage().data_ptr() for batch in made}) == 1


def test_values_that_are_not_tensors_are_preserved():
    clips = [{"video": torch.zeros(2), "key": key, "attributes": {}, "number": 3} for key in "ab"]
    (batch,) = unpack_batches(pack_batches([clips]))
    assert_same(batch, default_collate(clips))


def test_pinning_preserves_a_packed_batch(monkeypatch):
    """PyTorch's pinning traverses what a worker sends and turns tuples into lists. Pinning itself is replaced here."""
    data = build_set(CONFIG, "train", frozenset(FIELDS), 0)
    clips = [data.clip(index, 0, 3) for index in range(2)]
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, device=None: pinned.append(tensor) or tensor)
    (batch,) = unpack_batches(pin_memory(pack_batches([clips])))
    assert_same(batch, default_collate(clips))
    assert len(pinned) == 1


def test_workers_give_the_same_batches_as_no_workers():
    def batches(workers):
        clips = KeyedClips(CONFIG, "train", frozenset(FIELDS), 0)
        return list(ClipLoader(clips, Order(len(clips.full_size), 12, 4, 3, 0), workers))

    for batch, expected in zip(batches(2), batches(0), strict=True):
        assert_same(batch, expected)
        memories = {value.untyped_storage().data_ptr() for value in batch.values() if isinstance(value, torch.Tensor)}
        assert len(memories) == 1
