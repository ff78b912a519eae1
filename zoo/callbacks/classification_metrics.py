"""Accuracy of a classifier on the evaluation clips, attribute by attribute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from torchmetrics import MeanMetric

from zoo.evaluation.metrics.attribute_scores import is_correct
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import add_round
from zoo.model import VideoModel
from zoo.types import AttributeProbabilities, Clip


class ClassificationMetrics(Callback):
    """Logs ``accuracy_<attribute>`` of every validation round and their mean ``accuracy``, adds them to
    ``results.jsonl`` and stores them as ``model.accuracy``.

    Clips in which an attribute changes or is unknown do not count for it.
    """

    def __init__(self, protocol: Protocol, run: Path, attributes: tuple[str, ...]) -> None:
        self.protocol = protocol
        self.run = run
        self.accuracies = {name: MeanMetric(nan_strategy="ignore") for name in attributes}

    def on_validation_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Move the states to the device of the model."""
        for accuracy in self.accuracies.values():
            accuracy.to(model.device)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        model: VideoModel[Any],
        outputs: tuple[Clip, AttributeProbabilities] | None,
        batch: Clip,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch; ``outputs`` is None on a rank without clips."""
        if outputs is None:
            return
        clip, probabilities = outputs
        for name, accuracy in self.accuracies.items():
            accuracy.update(is_correct(probabilities[name], clip["attributes"][name]))

    def on_validation_epoch_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log the values of the round."""
        found = {name: float(accuracy.compute()) for name, accuracy in self.accuracies.items()}
        for accuracy in self.accuracies.values():
            accuracy.reset()
        model.accuracy = found
        values = {"accuracy": sum(found.values()) / len(found)} | {f"accuracy_{name}": v for name, v in found.items()}
        model.log_dict({self.protocol.key(name): value for name, value in values.items()})
        if trainer.is_global_zero and not trainer.sanity_checking:
            add_round(self.run, model, values, self.protocol, given="video")
