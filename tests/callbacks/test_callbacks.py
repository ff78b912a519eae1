"""Callbacks of a training: weight averaging, non-finite losses, throughput, signals."""

import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from zoo import ZooError
from zoo.callbacks.checkpoints import StepCheckpoint
from zoo.callbacks.ema import MovingAverage
from zoo.callbacks.non_finite import StopOnNonFinite
from zoo.callbacks.throughput import Throughput
from zoo.data.module import ClipLoader, Order
from zoo.testing import tiny_clip, tiny_model, train_on


class Part(nn.Module):
    """A model with one part to average, which has one weight and one buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("count", torch.zeros(1))
        self.clips_seen = 10**9

    def ema_parts(self) -> dict[str, nn.Module]:
        return {"part": self}


TRAINER = SimpleNamespace(world_size=2)
BATCH = {"video": torch.zeros(4, 1, 3, 1, 1)}  # with two processes, a step has eight clips


def test_half_life_is_counted_in_clips():
    average = MovingAverage(half_life=8)
    assert average.decay(8, 10**9) == 0.5
    assert average.decay(4, 10**9) == pytest.approx(0.5**0.5)
    assert MovingAverage(half_life=500).decay(4, 100) == pytest.approx(
        0.5**0.4
    )  # at most a tenth of the 100 clips seen


def test_average_moves_halfway_in_one_half_life():
    model, average = Part(), MovingAverage(half_life=8)
    average.on_train_start(TRAINER, model)
    for weight, expected in ((4.0, 2.0), (0.0, 1.0), (5.0, 3.0)):
        model.weight.data.fill_(weight)
        model.count.fill_(weight)
        average.on_train_batch_end(TRAINER, model, None, BATCH, 0)
        assert average.averages["part"]["weight"].item() == pytest.approx(expected)
        assert average.averages["part"]["count"].item() == weight  # buffers are copied


def test_validation_uses_the_average_and_training_the_weights():
    model, average = Part(), MovingAverage(half_life=8)
    average.on_train_start(TRAINER, model)
    model.weight.data.fill_(4.0)
    average.on_train_batch_end(TRAINER, model, None, BATCH, 0)
    average.on_validation_start(TRAINER, model)
    assert model.weight.item() == 2.0
    average.on_validation_end(TRAINER, model)
    assert model.weight.item() == 4.0
    assert average.averages["part"]["weight"].item() == 2.0


def test_average_is_restored_from_a_checkpoint():
    model, average, checkpoint = Part(), MovingAverage(half_life=8), {}
    average.on_train_start(TRAINER, model)
    model.weight.data.fill_(4.0)
    average.on_train_batch_end(TRAINER, model, None, BATCH, 0)
    average.on_save_checkpoint(TRAINER, model, checkpoint)
    other = MovingAverage(half_life=8)
    other.on_load_checkpoint(TRAINER, Part(), checkpoint)
    other.on_train_start(TRAINER, Part())
    assert other.averages["part"]["weight"].item() == 2.0


def step(callback: StopOnNonFinite, clips: int, batch_idx: int, **losses: float) -> None:
    model = SimpleNamespace(losses={k: torch.tensor(v) for k, v in losses.items()}, clips_seen=clips)
    callback.on_train_batch_end(SimpleNamespace(log_every_n_steps=4), model, None, BATCH, batch_idx)


def test_first_non_finite_loss_is_named(tmp_path):
    """It is found when losses are logged next. Other losses are NaN by then, but the first one is the cause."""
    callback = StopOnNonFinite(tmp_path)
    step(callback, 8, 0, warp=1.0, gan=1.0)
    step(callback, 16, 1, warp=float("inf"), gan=1.0)
    step(callback, 24, 2, warp=float("nan"), gan=float("nan"))
    with pytest.raises(
        ZooError, match=r"^train/loss/warp became NaN or infinite at 16 clips.*No checkpoint was saved yet"
    ):
        step(callback, 32, 3, warp=float("nan"), gan=float("nan"))


def test_nothing_is_saved_after_a_non_finite_loss(tmp_path):
    """The losses are checked before every checkpoint, and the last good one is named."""
    callback = StopOnNonFinite(tmp_path)
    (tmp_path / "last.ckpt").write_text("good")
    trainer = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=lambda found, all: found))
    model = nn.Linear(1, 1)
    model.device, model.clips_seen = torch.device("cpu"), 8
    step(callback, 8, 0, warp=1.0)
    callback.on_save_checkpoint(trainer, model, {"state_dict": model.state_dict()})
    model.weight.data.fill_(float("nan"))
    message = r"`weight` became NaN or infinite by 8 clips, before they were saved; .* good checkpoint is .*last\.ckpt"
    with pytest.raises(ZooError, match=message):
        callback.on_save_checkpoint(trainer, model, {"state_dict": model.state_dict()})
    model.weight.data.fill_(1.0)
    step(callback, 16, 1, warp=float("nan"))
    with pytest.raises(ZooError, match=r"train/loss/warp became .* The last good checkpoint is .*last\.ckpt"):
        callback.on_save_checkpoint(trainer, model, {"state_dict": model.state_dict()})


def test_wait_share_counts_the_wait_for_the_loader_only(monkeypatch):
    """With a fake clock: waiting for the batch takes 1 s, the step 5 s, other callbacks 4 s. The first step, which
    includes initialisation, does not count."""
    now, logged = [0.0], {}
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    class Slow(Dataset):
        def __getitem__(self, key):
            now[0] += 1.0
            return {"video": torch.zeros(1, 3, 1, 1), "key": str(key)}

    clips = Slow()
    loader = ClipLoader(clips, Order(clips=8, budget=8, batch_size=1, frames=1, seed=0), workers=0)
    trainer = SimpleNamespace(world_size=2, log_every_n_steps=2, train_dataloader=loader)
    model, watch = SimpleNamespace(log=logged.__setitem__), Throughput()
    watch.on_train_start(trainer, model)
    for number, batch in enumerate(loader):
        now[0] += 5.0
        watch.on_train_batch_end(trainer, model, None, batch, number)
        if number % 2:
            steps, seconds = {1: (1, 10), 3: (2, 20), 5: (2, 20), 7: (2, 16)}[number]  # after step 5 it restarts
            assert logged["perf/wait_share"] == pytest.approx(steps / seconds)
            assert logged["perf/clips_per_s"] == pytest.approx(2 * steps / seconds)
        now[0] += 4.0
        if number == 5:
            now[0] += 100.0
            watch.on_validation_end(trainer, model)
    assert number == 7


def test_steps_do_not_broadcast_signals(tmp_path, monkeypatch):
    """Lightning would broadcast in every step of several ranks, and wait for the answer."""
    broadcasts = []
    monkeypatch.setattr(torch.distributed, "broadcast", lambda *_, **__: broadcasts.append(1))
    for callbacks, times in (([], 1), ([StepCheckpoint(tmp_path, 10)], 0)):
        trainer = train_on(tiny_model("classifier"), tiny_clip("classifier"), 1, tmp_path, *callbacks)
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor()
        assert len(broadcasts) == times
        broadcasts.clear()
