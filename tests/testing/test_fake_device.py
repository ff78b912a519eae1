"""That the fake device sees whoever would wait for a real one, and nobody else."""

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
    "copy_ to the processor": lambda x: torch.zeros(3).copy_(x),
    "to, without non_blocking": lambda x: torch.ones(3).to(x),
    "copy_ from the processor": lambda x: x.copy_(torch.ones(3)),
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

GOING_ON = {
    "arithmetic": lambda x: (2 * x + 1).relu().sum(),
    "argmax": lambda x: x.argmax(),
    "slice": lambda x: x[1:, None],
    "where": lambda x: torch.where(x > 0, x, 0),
    "to, with non_blocking": lambda x: torch.ones(3).to(x, non_blocking=True),
    "copy_ with non_blocking": lambda x: x.copy_(torch.ones(3), non_blocking=True),
    "item of the processor's own": lambda x: x * torch.ones(()).item(),
    "made where it is": lambda x: x.new_full((2,), 1.0) + torch.arange(2, device=x.device),
}


@pytest.mark.parametrize("what", WAITING)
def test_who_waits_is_seen(what):
    x = torch.zeros(3, device=DEVICE)
    with pytest.raises(WaitError, match=r"waits for the device: .*test_fake_device\.py:\d+"), FakeDevice():
        WAITING[what](x)


@pytest.mark.parametrize("what", GOING_ON)
def test_who_goes_on_is_left_alone(what):
    x = torch.zeros(3, device=DEVICE)
    with FakeDevice():
        GOING_ON[what](x)


def test_a_step_that_reads_a_loss_is_seen(tmp_path):
    class Curious(VideoVAE):
        def training_step(self, clip, batch_idx):
            loss = super().training_step(clip, batch_idx)
            self.seen = loss.item()
            return loss

    model, clips = tiny_model("videovae"), DataLoader([tiny_clip("videovae")] * 2, batch_size=None)
    train_on_fake_device(model, clips, [], tmp_path)
    model.__class__ = Curious
    with pytest.raises(WaitError, match="aten::_local_scalar_dense"):
        train_on_fake_device(model, clips, [], tmp_path)
