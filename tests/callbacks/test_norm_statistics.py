"""Running statistics are estimated anew with the averaged weights before every round."""

from dataclasses import asdict, replace

import pytest
import torch
from torch import nn
from torch.utils.data import default_collate

from zoo.callbacks.ema import MovingAverage
from zoo.callbacks.norm_statistics import CLIPS, NormStatistics, estimated_anew, running_norms
from zoo.card import MODELS
from zoo.data.base import build_set
from zoo.data.module import VideoData
from zoo.model import build
from zoo.testing import quiet_trainer, tiny_data, tiny_model
from zoo.types import SampleRequest

BATCHES = (torch.tensor([0.0, 2.0]), torch.tensor([4.0, 8.0]))
"""Means 1 and 6; variances (unbiased) 2 and 8."""


def test_statistics_are_means_over_all_passes_by_hand():
    layer = nn.BatchNorm1d(1).eval()
    with estimated_anew([layer]):
        outputs = [layer(batch[:, None]) for batch in BATCHES]
    assert layer.running_mean.item() == pytest.approx(3.5)
    assert layer.running_var.item() == pytest.approx(5.0)
    assert outputs[1].flatten().tolist() == pytest.approx([-1.0, 1.0], abs=1e-4)  # by the statistics of the batch
    assert (layer.momentum, layer.training) == (0.1, False)


def test_instance_norm_is_estimated_too():
    layer = nn.InstanceNorm1d(1, track_running_stats=True).eval()
    with estimated_anew([layer]):
        for batch in BATCHES:
            layer(batch[None, None])
    assert layer.running_mean.item() == pytest.approx(3.5)
    assert layer.running_var.item() == pytest.approx(5.0)


def test_a_layer_without_a_pass_keeps_its_statistics():
    layer = nn.BatchNorm1d(1).eval()
    layer.running_mean.fill_(7.0)
    with estimated_anew([layer]):
        pass
    assert layer.running_mean.item() == 7.0


def test_statistics_by_image_are_not_touched():
    config = replace(MODELS.find("pix2pixhd").config.tiny(), norm_statistics="batch")
    assert running_norms(build(asdict(config), tiny_data("pix2pixhd").spec())) == []


def test_a_round_estimates_with_the_averaged_weights(tmp_path):
    """The averages of the checkpoint hold statistics of the averaged weights; training goes on with its own."""
    model = tiny_model("pix2pixhd")
    average = MovingAverage(half_life=10.0)
    trainer = quiet_trainer(tmp_path, average, NormStatistics(), num_sanity_val_steps=0)
    data = tiny_data("pix2pixhd", batch_size=2, clips=4)
    trainer.fit(model, VideoData(data, model.card.wanted(), 4, 0, 2, data.frames))
    averages = average.averages["generator"]
    trained = {key: value.clone() for key, value in model.generator.state_dict().items()}
    means = [key for key in averages if key.endswith("running_mean")]
    assert all(not torch.allclose(averages[key], trained[key]) for key in means)

    model.generator.load_state_dict(averages)
    layers = [layer for layer in model.generator.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert set(layers) <= set(running_norms(model))
    assert len(layers) == len(means)
    for layer in layers:  # PyTorch's own cumulative mean
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    clips = build_set(data, "train", model.card.wanted(), seed=0)
    number = min(CLIPS, len(clips))
    for first in range(0, number, 2):
        batch = default_collate([clips.clip(index, 0, data.frames) for index in (first, first + 1)])
        model.sample(SampleRequest(data.frames, batch))
    for key in means:
        torch.testing.assert_close(model.generator.state_dict()[key], averages[key])
