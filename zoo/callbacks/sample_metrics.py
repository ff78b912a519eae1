"""Metrics of the samples of a validation round, under keys that contain the protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from zoo.evaluation.results import add_round
from zoo.evaluation.suite import Suite
from zoo.model import VideoModel
from zoo.types import Clip, Sample


class SampleMetrics(Callback):
    """Computes every metric of a suite over all ranks, with the averaged weights; logs the values and adds them to
    ``results.jsonl`` of the run folder."""

    def __init__(self, suite: Suite, run: Path) -> None:
        self.suite, self.run = suite, run

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        model: VideoModel[Any],
        outputs: tuple[Clip, Sample] | None,
        batch: Clip,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch of samples; ``outputs`` is None on a rank without clips."""
        if outputs is None:
            return
        clip, sample = outputs
        if model.needs_given(self.suite.protocol.context):
            self.suite.update(clip, [sample.video])
        else:
            self.suite.update_real(clip)
            self.suite.update_samples(sample.names, sample.video)

    def on_validation_epoch_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log the values of the round."""
        self.suite.to(model.device)
        for each in self.suite.compute():
            model.log_dict({each.protocol.key(name): value for name, value in each.metrics.items()})
            if trainer.is_global_zero and not trainer.sanity_checking:
                given = model.given(each.protocol.context)
                add_round(self.run, model, each.metrics, each.protocol, given, each.curves)
        self.suite.reset()
