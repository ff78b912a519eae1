"""The comparison of experiments/speed/vid2vid.py is one of the same work."""

import importlib.util

import torch

from tests.helpers.paths import ROOT
from zoo.model import build


def test_losses_of_the_release_are_those_of_vid2vid(monkeypatch):
    spec = importlib.util.spec_from_file_location("speed_vid2vid", ROOT / "experiments/speed/vid2vid.py")
    speed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(speed)
    monkeypatch.setattr(speed, "FRAMES", 7)  # the fewest that both video discriminators need
    torch.manual_seed(0)
    clip_spec, batches = speed.clips(32, 64, 1)
    model = build(speed.MODEL, clip_spec)
    assert speed.loss_difference(model, speed.Release(model), batches[0]) < 1e-5
