"""How well a model that segments reads the labels of the evaluation clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from zoo.evaluation.metrics.labels import check_labels, mean_iou, share_right
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import add_round
from zoo.model import VideoModel
from zoo.types import Clip


class SegmentationMetrics(Callback):
    """``miou`` of every round, and ``pixel_accuracy``; logged, kept in ``results.jsonl``, and the first told to the
    model. Every class counts alike that is somewhere in the evaluation clips."""

    def __init__(self, protocol: Protocol, run: Path, classes: int) -> None:
        self.protocol = protocol
        self.run = run
        self.classes = classes
        self.confusion = MulticlassConfusionMatrix(classes, validate_args=False)

    def on_validation_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Count where the model is, on every rank."""
        self.confusion.to(model.device)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        model: VideoModel[Any],
        outputs: tuple[Clip, Tensor] | None,
        batch: Clip,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count pixels; of a rank without clips, none. A ZooError for a label that is no class."""
        if outputs is None:
            return
        clip, read = outputs
        check_labels(clip["labels"], self.classes)
        self.confusion.update(read, clip["labels"])

    def on_validation_epoch_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log the round."""
        counted = self.confusion.compute().double()
        self.confusion.reset()
        values = {"miou": mean_iou(counted), "pixel_accuracy": share_right(counted)}
        model.accuracy = {"miou": values["miou"]}
        model.log_dict({self.protocol.key(name): value for name, value in values.items()})
        if trainer.is_global_zero and not trainer.sanity_checking:
            add_round(self.run, model, values, self.protocol, given="video")
