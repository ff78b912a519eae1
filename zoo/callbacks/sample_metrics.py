"""Measures the samples of a validation round, under keys that carry the protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from zoo.evaluation.results import add_round
from zoo.evaluation.suite import Suite
from zoo.model import VideoModel
from zoo.types import Clip, Sample


class SampleMetrics(Callback):
    """Every metric of a suite, under the averaged weights, over all ranks: logged, and added to ``results.jsonl``."""

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
        """Measure a batch that was sampled once for all; of a rank without clips, nothing."""
        if outputs is None:
            return
        clip, sample = outputs
        self.suite.update(clip, [sample.video])

    def on_validation_epoch_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log the round."""
        self.suite.to(model.device)
        for protocol, figures in self.suite.compute():
            model.log_dict({protocol.key(name): value for name, value in figures.items()})
            if trainer.is_global_zero and not trainer.sanity_checking:
                given = model.given(protocol.context)
                add_round(self.run, model, figures, protocol, given)
        self.suite.reset()
