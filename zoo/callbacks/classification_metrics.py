"""How often a model that classifies is right on the evaluation clips, attribute by attribute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from torchmetrics import MeanMetric

from zoo.evaluation.metrics.classified import hits
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import add_round
from zoo.model import VideoModel
from zoo.types import Clip, Verdict


class ClassificationMetrics(Callback):
    """``accuracy_<attribute>`` of every round and their mean, ``accuracy``; logged, kept in ``results.jsonl`` and told
    to the model. Clips in which an attribute changes or is not known do not count."""

    def __init__(self, protocol: Protocol, run: Path, attributes: tuple[str, ...]) -> None:
        self.protocol = protocol
        self.run = run
        self.shares = {name: MeanMetric(nan_strategy="ignore") for name in attributes}

    def on_validation_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Count where the model is, on every rank."""
        for share in self.shares.values():
            share.to(model.device)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        model: VideoModel[Any],
        outputs: tuple[Clip, Verdict] | None,
        batch: Clip,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count; of a rank without clips, nothing."""
        if outputs is None:
            return
        clip, verdict = outputs
        for name, share in self.shares.items():
            share.update(hits(verdict[name], clip["attributes"][name]))

    def on_validation_epoch_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log the round."""
        found = {name: float(share.compute()) for name, share in self.shares.items()}
        for share in self.shares.values():
            share.reset()
        model.accuracy = found
        values = {"accuracy": sum(found.values()) / len(found)} | {f"accuracy_{name}": v for name, v in found.items()}
        model.log_dict({self.protocol.key(name): value for name, value in values.items()})
        if trainer.is_global_zero and not trainer.sanity_checking:
            add_round(self.run, model, values, self.protocol, given="video")
