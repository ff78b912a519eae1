from types import SimpleNamespace

import pytest
import torch
from torch import nn

from zoo import ZooError
from zoo.callbacks.ema import MovingAverage
from zoo.callbacks.finite import Finite
from zoo.callbacks.throughput import Throughput


class Part(nn.Module):
    """One weight and one buffer, as a model with one part to average."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("count", torch.zeros(1))
        self.clips_seen = 10**9

    def ema_parts(self) -> dict[str, nn.Module]:
        return {"part": self}


TRAINER = SimpleNamespace(world_size=2)
BATCH = {"video": torch.zeros(4, 1, 3, 1, 1)}  # two processes: a step of eight clips


def test_half_life_is_in_clips():
    average = MovingAverage(half_life=8)
    assert average.decay(8, 10**9) == 0.5
    assert average.decay(4, 10**9) == pytest.approx(0.5**0.5)
    assert MovingAverage(half_life=500).decay(4, 100) == pytest.approx(0.5**0.4)  # early on: a tenth of 100 clips


def test_average_moves_half_way_in_a_half_life():
    model, average = Part(), MovingAverage(half_life=8)
    average.on_train_start(TRAINER, model)
    for weight, expected in ((4.0, 2.0), (0.0, 1.0), (5.0, 3.0)):
        model.weight.data.fill_(weight)
        model.count.fill_(weight)
        average.on_train_batch_end(TRAINER, model, None, BATCH, 0)
        assert average.averages["part"]["weight"].item() == pytest.approx(expected)
        assert average.averages["part"]["count"].item() == weight  # buffers are copied


def test_validation_sees_the_average_and_training_goes_on_with_the_weights():
    model, average = Part(), MovingAverage(half_life=8)
    average.on_train_start(TRAINER, model)
    model.weight.data.fill_(4.0)
    average.on_train_batch_end(TRAINER, model, None, BATCH, 0)
    average.on_validation_start(TRAINER, model)
    assert model.weight.item() == 2.0
    average.on_validation_end(TRAINER, model)
    assert model.weight.item() == 4.0
    assert average.averages["part"]["weight"].item() == 2.0


def test_average_survives_a_checkpoint():
    model, average, checkpoint = Part(), MovingAverage(half_life=8), {}
    average.on_train_start(TRAINER, model)
    model.weight.data.fill_(4.0)
    average.on_train_batch_end(TRAINER, model, None, BATCH, 0)
    average.on_save_checkpoint(TRAINER, model, checkpoint)
    other = MovingAverage(half_life=8)
    other.on_load_checkpoint(TRAINER, Part(), checkpoint)
    other.on_train_start(TRAINER, Part())
    assert other.averages["part"]["weight"].item() == 2.0


def step(finite: Finite, clips: int, batch_idx: int, **losses: float) -> None:
    model = SimpleNamespace(losses={k: torch.tensor(v) for k, v in losses.items()}, clips_seen=clips)
    finite.on_train_batch_end(SimpleNamespace(log_every_n_steps=4), model, None, BATCH, batch_idx)


def test_first_loss_that_is_no_number_is_named(tmp_path):
    """It is found when losses are logged next, by then others are NaN, too; the one to blame came first."""
    finite = Finite(tmp_path)
    step(finite, 8, 0, warp=1.0, gan=1.0)
    step(finite, 16, 1, warp=float("inf"), gan=1.0)
    step(finite, 24, 2, warp=float("nan"), gan=float("nan"))
    with pytest.raises(ZooError, match=r"^train/loss/warp was no finite number at 16 clips.*Nothing was saved yet"):
        step(finite, 32, 3, warp=float("nan"), gan=float("nan"))


def test_nothing_is_saved_after_a_loss_that_is_no_number(tmp_path):
    """Every checkpoint looks before it is written; and the last good state is named."""
    finite = Finite(tmp_path)
    (tmp_path / "last.ckpt").write_text("good")
    step(finite, 8, 0, warp=1.0)
    finite.on_save_checkpoint(None, None, {})
    step(finite, 16, 1, warp=float("nan"))
    with pytest.raises(ZooError, match=r"The last good state is .*last\.ckpt"):
        finite.on_save_checkpoint(None, None, {})


def test_first_step_does_not_count_as_speed(monkeypatch):
    """In it caches are filled, workers start and wandb is opened."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("zoo.callbacks.throughput.time", SimpleNamespace(perf_counter=lambda: clock.now))
    logged: dict[str, list[float]] = {}
    model = SimpleNamespace(log=lambda name, value: logged.setdefault(name, []).append(value))
    trainer = SimpleNamespace(world_size=1, log_every_n_steps=2)
    watch = Throughput()
    watch.on_train_start(trainer, model)
    for number, (waits, takes) in enumerate([(50, 50), (1, 3), (1, 3), (1, 3)]):
        clock.now += waits
        watch.on_train_batch_start(trainer, model, BATCH, number)
        clock.now += takes
        watch.on_train_batch_end(trainer, model, None, BATCH, number)
    assert logged["perf/clips_per_s"] == [4 / 4, 8 / 8]  # of the second step, then of two
    assert logged["perf/wait_share"] == [1 / 4, 2 / 8]
