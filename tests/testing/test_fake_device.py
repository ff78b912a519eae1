"""The fake device detects every operation that would wait for a GPU, and no other."""

import pytest
import torch
from torch.utils.data import DataLoader

from zoo.models.videovae.model import VideoVAE
from zoo.testing import tiny_clip, tiny_model
from zoo.testing.fake_device import DEVICE, FakeDevice, WaitError, train_on_fake_device


def index_put(x):
    y = x.clone()
    y[x > 0] = x[:1]


WAITING = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x[0]),
    "if": lambda x: 1 if x.any() else 0,
    "tolist": lambda x: x.tolist(),
    "max of Python": lambda x: max(x),
    "cpu": lambda x: x.cpu(),
    "copy_ to the CPU": lambda x: torch.zeros(3).copy_(x),
    "to, without non_blocking": lambda x: torch.ones(3).to(x),
    "copy_ from the CPU": lambda x: x.copy_(torch.ones(3)),
    "torch.tensor": lambda x: torch.tensor([1.0, 2.0], device=x.device),
    "new_tensor": lambda x: x.new_tensor([1.0]),
    "nonzero": lambda x: x.nonzero(),
    "unique": lambda x: x.unique(return_inverse=True),
    "bincount": lambda x: x.long().bincount(minlength=4),
    "masked_select": lambda x: x.masked_select(x > 0),
    "index by a mask": lambda x: x[x > 0],
    "index by a list": lambda x: x[[0, 1]],
    "index by a list, further in": lambda x: x[None][:, [0, 1]],
    "write by a mask": index_put,
    "equal": lambda x: torch.equal(x, x + 1),
}

NOT_WAITING = {
    "arithmetic": lambda x: (2 * x + 1).relu().sum(),
    "argmax": lambda x: x.argmax(),
    "slice": lambda x: x[1:, None],
    "where": lambda x: torch.where(x > 0, x, 0),
    "to, with non_blocking": lambda x: torch.ones(3).to(x, non_blocking=True),
    "copy_ with non_blocking": lambda x: x.copy_(torch.ones(3), non_blocking=True),
    "item of a tensor on the CPU": lambda x: x * torch.ones(()).item(),
    "created on the device": lambda x: x.new_full((2,), 1.0) + torch.arange(2, device=x.device),
}


@pytest.mark.parametrize("what", WAITING)
def test_operations_that_wait_are_detected(what):
    x = torch.zeros(3, device=DEVICE)
    with pytest.raises(WaitError, match=r"waits for the device: .*test_fake_device\.py:\d+"), FakeDevice():
        WAITING[what](x)


@pytest.mark.parametrize("what", NOT_WAITING)
def test_operations_that_do_not_wait_are_allowed(what):
    x = torch.zeros(3, device=DEVICE)
    with FakeDevice():
        NOT_WAITING[what](x)


def test_a_step_that_reads_a_loss_is_detected(tmp_path):
    class ReadsLoss(VideoVAE):
        def training_step(self, clip, batch_idx):
            loss = super().training_step(clip, batch_idx)
            self.value = loss.item()
            return loss

    model, clips = tiny_model("videovae"), DataLoader([tiny_clip("videovae")] * 2, batch_size=None)
    train_on_fake_device(model, clips, [], tmp_path)
    model.__class__ = ReadsLoss
    with pytest.raises(WaitError, match="aten::_local_scalar_dense"):
        train_on_fake_device(model, clips, [], tmp_path)
