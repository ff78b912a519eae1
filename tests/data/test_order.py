"""The order of the clips is a pure function of integers."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
import torch

from zoo.data.base import ClipSet
from zoo.data.module import ClipKey, ClipLoader, KeyedClips, Order, VideoData
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.errors import ZooError
from zoo.randomness import generator, mix
from zoo.types import CurriculumStage


def order(**changes) -> Order:
    return Order(**{"clips": 5, "budget": 12, "batch_size": 2, "frames": 4, "seed": 1} | changes)


def test_every_epoch_contains_every_clip_once():
    keys = [key for batch in order() for key in batch]
    assert len(keys) == 12
    assert sorted(key.number for key in keys[:5]) == [0, 1, 2, 3, 4] == sorted(key.number for key in keys[5:10])
    assert [key.epoch for key in keys] == [0] * 5 + [1] * 5 + [2] * 2
    assert [key.number for key in keys[:5]] != [key.number for key in keys[5:10]]
    assert all(key.frames == 4 for key in keys)


def test_order_depends_on_the_seed_only():
    assert list(order()) == list(order())
    assert list(order()) != list(order(seed=2))


def test_ranks_divide_the_batches_of_one_process():
    whole = [set(batch) for batch in order(batch_size=4)]
    shares = zip(order(rank=0, ranks=2), order(rank=1, ranks=2), strict=True)
    assert [set(a) | set(b) for a, b in shares] == whole


def test_incomplete_last_step_is_dropped():
    assert len(order(budget=13)) == len(list(order(budget=13))) == 6
    assert len(order(budget=1)) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_resumes_from_its_state(workers):
    config = PuppetsConfig(height=16, width=16, frames=2, view="person")

    def loader() -> ClipLoader:
        return ClipLoader(KeyedClips(config, "train", frozenset(), 1), order(clips=100), workers)

    whole = [clip["key"] for clip in loader()]
    first = loader()
    begun = iter(first)
    assert [next(begun)["key"] for _ in range(2)] == whole[:2]
    second = loader()
    second.load_state_dict(first.state_dict())
    assert [clip["key"] for clip in second] == whole[2:]
    assert len(whole) == 6


def test_evaluation_clips_are_the_same_for_every_seed():
    def keys(seed: int) -> list[str]:
        config = PuppetsConfig(height=16, width=16, view="person")
        data = VideoData(config, frozenset({"labels"}), 4, seed, evaluation_clips=3, evaluation_frames=5)
        clips = list(data.val_dataloader())
        assert {clip["video"].shape[1] for clip in clips} == {5}
        assert all("labels" in clip and "flow" not in clip for clip in clips)
        return [key for clip in clips for key in clip["key"]]

    assert keys(1) == keys(2)
    assert len(set(keys(1))) == 3


def test_too_many_evaluation_clips_raise():
    config = PuppetsConfig(height=16, width=16, view="person")
    data = VideoData(config, frozenset(), 4, 1, evaluation_clips=10**6, evaluation_frames=5)
    with pytest.raises(ZooError, match=r"Try: evaluation\.clips="):
        data.val_dataloader()


def test_mix_is_deterministic_and_order_dependent():
    assert mix(1, 2) != mix(2, 1) != mix(1, 2, 0)
    assert mix(0) != mix(0, 0)
    assert mix(7) == mix(7) < 2**63
    assert torch.equal(torch.rand(3, generator=generator(1, 2)), torch.rand(3, generator=generator(1, 2)))


def test_clip_key_is_a_plain_tuple():
    assert ClipKey(1, 2, 3) == (1, 2, 3, 1)


def growing(seen: int) -> CurriculumStage:
    """A curriculum: two frames at half the size, then four, then complete clips."""
    return CurriculumStage(frames=2 if seen < 4 else 4 if seen < 8 else None, downscale=2 if seen < 6 else 1)


def test_keys_follow_the_curriculum():
    keys = [(key.frames, key.downscale) for batch in order(frames=5, curriculum=growing) for key in batch]
    assert keys == [(2, 2)] * 4 + [(4, 2)] * 2 + [(4, 1)] * 2 + [(5, 1)] * 4
    # three clips per step: all have the stage of the first, at 0, 3, 6 and 9
    keys = [(key.frames, key.downscale) for batch in order(frames=5, batch_size=3, curriculum=growing) for key in batch]
    assert keys == [(2, 2)] * 3 + [(2, 2)] * 3 + [(4, 1)] * 3 + [(5, 1)] * 3
    first, second = (
        [
            (key.frames, key.downscale)
            for (key,) in order(frames=5, batch_size=1, rank=rank, ranks=2, curriculum=growing)
        ]
        for rank in (0, 1)
    )
    assert first == second


@pytest.mark.parametrize("workers", [0, 2])
def test_persistent_workers_follow_the_curriculum(workers):
    config = PuppetsConfig(height=32, width=64, frames=5, view="street", batch_size=1, workers=workers)
    data = VideoData(config, frozenset({"flow"}), 12, 1, 1, 5, growing)
    shapes = [tuple(clip["video"].shape) for clip in data.train_dataloader()]
    assert shapes == [
        *[(1, 2, 3, 16, 32)] * 4,
        *[(1, 4, 3, 16, 32)] * 2,
        *[(1, 4, 3, 32, 64)] * 2,
        *[(1, 5, 3, 32, 64)] * 4,
    ]


class BrokenClips(ClipSet):
    """Clip 2 is unusable."""

    def __len__(self) -> int:
        return 5

    def clip(self, index: int, epoch: int, frames: int):
        if index == 2:
            raise ZooError("clip 2 is torn")
        return {"video": torch.zeros(1, 3, 4, 4), "fps": torch.tensor(1.0), "key": str(index)}


@pytest.mark.parametrize("workers", [0, 2])
def test_error_in_a_worker_keeps_its_message(workers, monkeypatch):
    monkeypatch.setattr("zoo.data.module.build_set", lambda *_: BrokenClips())
    loader = ClipLoader(KeyedClips(PuppetsConfig(), "train", frozenset(), 1), order(), workers)
    with pytest.raises(ZooError, match=r"^clip 2 is torn$"):
        list(loader)


SETUP = """
import os
import sys
from unittest import mock
from zoo.data import module
from zoo.data.sets.puppets.config import PuppetsConfig
from zoo.errors import ZooError

CONFIG = PuppetsConfig(height=16, width=16, frames=2, view="person")
clips = module.KeyedClips(CONFIG, "train", frozenset(), 1)
loader = module.ClipLoader(clips, module.Order(clips=9, budget=90, batch_size=2, frames=2, seed=1), workers=2)
"""
IN_A_PASS = "held = iter(loader); print(next(held)['video'].shape[0])"
AFTER_AN_ERROR = """
with mock.patch.object(type(clips.full_size), "clip", side_effect=ZooError("torn")):
    try:
        list(loader)
    except ZooError as error:
        held = error
        print(error)
"""
FORKED = """
held = iter(loader)
next(held)
child = os.fork()
if not child:
    sys.stderr.close()  # Python complains that it cannot wait for another process's children
    os.close(2)
    sys.exit()
os.waitpid(child, 0)
print(1 + len(list(held)))
"""


@pytest.mark.parametrize(("script", "output"), [(IN_A_PASS, "2\n"), (AFTER_AN_ERROR, "torn\n"), (FORKED, "45\n")])
def test_process_ends_while_a_loader_is_referenced(script, output, tmp_path):
    """Workers ignore SIGTERM, by which Python ends the remaining ones at exit, so it would wait for them."""
    typed = [sys.executable, "-W", "ignore", "-c", SETUP + script]
    with (tmp_path / "out").open("w") as out:  # remaining workers would keep a pipe open
        ended = subprocess.Popen(typed, stdout=out, stderr=out, start_new_session=True)
        try:
            assert ended.wait(timeout=60) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(ended.pid, signal.SIGKILL)
            ended.wait()
    assert (tmp_path / "out").read_text() == output
