"""A signal is heard while a batch is waited for, and memory that batches need is checked before processes start."""

import os
import signal
from types import SimpleNamespace

import pytest
import torch

from zoo import ZooError
from zoo.callbacks.checkpoints import StepCheckpoint
from zoo.data import batch_groups, module
from zoo.data.batch_groups import check_shared_memory, collate_group
from zoo.errors import Stopped
from zoo.runs.load import read_checkpoint
from zoo.testing.rerun import differing_files, resume_training, tiny_plan
from zoo.training.signals import exit_after_signal
from zoo.training.trainer import train

CLIP = {"video": torch.zeros(8, 3, 64, 64), "key": "a"}  # 384 KiB


@pytest.mark.parametrize("batch", [2, 3])
def test_a_signal_while_a_batch_is_awaited_saves_and_stops(tmp_path, monkeypatch, batch):
    """The second batch, or the third, after a validation round, never comes, as from a disk that hangs."""
    train(tiny_plan("vgan", 8), tmp_path / "whole")
    calls = []

    def hang(batch_size, clips):
        calls.append(clips)
        if len(calls) == batch:
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("the signal was not heard")
        return collate_group(batch_size, clips)

    planned = tiny_plan("vgan", 8)
    planned.settings.callbacks.save_minutes = 100.0
    monkeypatch.setattr(module, "collate_group", hang)
    with pytest.raises(Stopped) as stop:
        train(planned, tmp_path / "part")
    assert (stop.value.number, stop.value.clips_seen, stop.value.saved) == (signal.SIGTERM, 2 * batch - 2, True)
    resume_training(tmp_path / "part")
    ends = [read_checkpoint(tmp_path / name / "last.ckpt")["state_dict"] for name in ("part", "whole")]
    assert all(torch.equal(weight, ends[1][key]) for key, weight in ends[0].items())
    assert differing_files(tmp_path / "part", tmp_path / "whole") == []


@pytest.mark.usefixtures("interrupts")
def test_a_second_interrupt_stops_at_once_and_says_what_is_lost(tmp_path, caplog):
    callback = StepCheckpoint(tmp_path, 1.0)
    callback.trainer = SimpleNamespace(world_size=1, train_dataloader=SimpleNamespace(waiting=False))
    callback.model = SimpleNamespace(clips_seen=6)
    with caplog.at_level("INFO", logger="zoo"):
        callback._request_stop(signal.SIGINT, None)
        assert "Ctrl-C again stops at once and loses the steps since last.ckpt" in caplog.text
        with pytest.raises(Stopped) as stop:
            callback._request_stop(signal.SIGINT, None)
        assert not stop.value.saved
        with pytest.raises(SystemExit) as end:
            exit_after_signal(stop.value, tmp_path / "my run")
    assert end.value.code == 130
    signal.raise_signal(signal.SIGINT)  # while the process ends: no KeyboardInterrupt
    assert "Stopped at once by a second SIGINT; the last steps are lost. No checkpoint was saved yet" in caplog.text
    assert f"python -m zoo.train 'resume={tmp_path / 'my run'}'" in caplog.text


def test_batches_that_do_not_fit_into_shared_memory_are_refused(monkeypatch):
    """Three batches a process exist at a time: 2 processes x 3 x 4 clips x 384 KiB = 9 MiB."""
    monkeypatch.setattr(batch_groups, "free_shared_memory", lambda: 9 << 20)
    check_shared_memory(CLIP, 4, workers=2, ranks=1)
    monkeypatch.setattr(batch_groups, "free_shared_memory", lambda: 8 << 20)
    with pytest.raises(ZooError, match=r"has 8 MiB free, but 2 .* batches of 1.5 MiB need 9 MiB.* data.workers=1, or"):
        check_shared_memory(CLIP, 4, workers=2, ranks=1)
    with pytest.raises(ZooError, match=r"but 2 data-loading processes .* Try: data.workers=0"):
        check_shared_memory(CLIP, 8, workers=1, ranks=2)
    monkeypatch.setattr(batch_groups, "free_shared_memory", lambda: None)  # not Linux
    check_shared_memory(CLIP, 400, workers=2, ranks=1)
