"""Measures the evaluation samples against the real clips, under keys that carry the protocol."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from einops import rearrange
from lightning import Callback, Trainer

from zoo.evaluation.paired import paired_metrics
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import add_result
from zoo.model import VideoModel
from zoo.types import Clip, Sample


class Measure(Callback):
    """L1, PSNR and SSIM of every validation round, logged and appended to ``results.jsonl``."""

    def __init__(self, protocol: Protocol, run: Path) -> None:
        self.protocol = protocol
        self.run = run
        self.metrics = paired_metrics()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        model: VideoModel[Any],
        outputs: tuple[Clip, Sample],
        batch: Clip,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Compare every frame that the model was not given."""
        clip, sample = outputs
        context = self.protocol.context
        made, real = (
            rearrange(video[:, context:], "b t c h w -> (b t) c h w").float() for video in (sample.video, clip["video"])
        )
        self.metrics.to(model.device).update(made, real)

    def on_validation_epoch_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log the round."""
        values = {name: float(value) for name, value in self.metrics.compute().items()}
        self.metrics.reset()
        model.log_dict({self.protocol.key(name): value for name, value in values.items()})
        if trainer.is_global_zero and not trainer.sanity_checking:
            add_result(self.run, model.clips_seen, values, asdict(self.protocol))
