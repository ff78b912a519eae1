"""Statistics of normalisation layers that belong to the averaged weights.

During training, running statistics follow the current weights and forget within about ten passes. Samples are made with
averaged weights, whose activations have other means and variances.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from lightning import Callback, Trainer
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from zoo.data.module import VideoData
from zoo.devices.synced_norm import SyncedBatchNorm
from zoo.model import VideoModel

CLIPS = 24
"""Training clips that the statistics are estimated on."""


class NormStatistics(Callback):
    """Re-estimates running statistics before every validation round, with the averaged weights.

    The model samples from the first training clips, the same in every round and on every process, while its layers use
    the statistics of the batch. Each running statistic becomes the mean over all these passes. It must come after
    `MovingAverage`, which swaps the averaged weights in and keeps the new statistics with them.
    """

    def on_validation_epoch_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Estimate the statistics, if a network that is sampled has any; all weights are gathered by then."""
        layers = running_norms(model)
        if not layers:
            return
        data = cast(VideoData, trainer.datamodule)  # type: ignore[attr-defined]
        plugin = trainer.precision_plugin
        with estimated_anew(layers), torch.no_grad(), plugin.val_step_context():
            for first, clip in data.first_training_batches(CLIPS):
                batch = trainer.strategy.batch_to_device(plugin.convert_input(clip))
                model.run_on(batch, data.config.frames, first)


def running_norms(model: VideoModel[Any]) -> list[_NormBase]:
    """The layers of the averaged networks that sample with running statistics."""
    layers = [layer for part in model.ema_parts().values() for layer in part.modules()]
    return [each for each in layers if isinstance(each, _NormBase) and each.running_mean is not None]


@contextmanager
def estimated_anew(layers: list[_NormBase]) -> Iterator[None]:
    """Within the context, every forward pass of a layer normalises by the statistics of its batch. Afterwards, the
    running statistics are the means over these passes; those of a layer without a pass stay."""
    passes = dict.fromkeys(layers, 0)
    momenta = {layer: layer.momentum for layer in layers}

    def count(layer: nn.Module, _: Any) -> None:
        assert isinstance(layer, _NormBase)
        passes[layer] += 1
        layer.momentum = 1 / passes[layer]  # the first pass overwrites; pass n moves the mean by a share of 1 / n

    hooks = [layer.register_forward_pre_hook(count) for layer in layers]
    training = {layer: layer.training for layer in layers}
    synced = [layer for layer in layers if isinstance(layer, SyncedBatchNorm)]
    for layer in layers:
        layer.train()
    for each in synced:
        each.syncs = False
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer in layers:
            layer.momentum = momenta[layer]
            layer.train(training[layer])
        for each in synced:
            each.syncs = True
