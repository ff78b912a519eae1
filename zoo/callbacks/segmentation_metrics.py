"""Mean IoU and pixel accuracy of a segmenter on the evaluation clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from zoo.evaluation.metrics.labels import check_labels, mean_iou, pixel_accuracy
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import add_round
from zoo.model import VideoModel
from zoo.types import IGNORED, Clip


class SegmentationMetrics(Callback):
    """Logs ``miou`` and ``pixel_accuracy`` of every validation round, adds them to ``results.jsonl`` and stores the
    first in ``model.accuracy``.

    ``miou`` is the mean over the classes that occur in the evaluation clips.
    """

    def __init__(self, protocol: Protocol, run: Path, classes: int) -> None:
        self.protocol = protocol
        self.run = run
        self.classes = classes
        self.confusion = MulticlassConfusionMatrix(classes, ignore_index=IGNORED, validate_args=False)

    def on_validation_start(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Move the state to the device of the model."""
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
        """Add a batch; ``outputs`` is None on a rank without clips. Raises ZooError for a label that is no class."""
        if outputs is None:
            return
        clip, predicted = outputs
        check_labels(clip["labels"], self.classes)
        self.confusion.update(predicted, clip["labels"])

    def on_validation_epoch_end(self, trainer: Trainer, model: VideoModel[Any]) -> None:
        """Log the values of the round."""
        counts = self.confusion.compute().double()
        self.confusion.reset()
        values = {"miou": mean_iou(counts), "pixel_accuracy": pixel_accuracy(counts)}
        model.accuracy = {"miou": values["miou"]}
        model.log_dict({self.protocol.key(name): value for name, value in values.items()})
        if trainer.is_global_zero and not trainer.sanity_checking:
            add_round(self.run, model, values, self.protocol, given="video")
