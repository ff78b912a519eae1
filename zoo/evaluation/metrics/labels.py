"""Agreement of the label maps that a sample was generated from with those that a segmenter predicts from it.

A confusion matrix counts pixels: one row per given class, one column per predicted class.

Shapes: B clips, T frames, H x W pixels, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from zoo.errors import ZooError
from zoo.evaluation.metric import MetricValues, Setup, VideoMetric, Videos
from zoo.types import IGNORED


def check_labels(given: Tensor, classes: int) -> None:
    """Raise a ZooError for a given label outside 0 … K - 1, except IGNORED."""
    low, high = (int(value) for value in torch.aminmax(given))
    if low < IGNORED or high >= classes:
        raise ZooError(
            f"The clips have labels from {low} to {high}, but the segmenter knows {classes} classes, 0 to "
            f"{classes - 1}. Train a segmenter on this data set: model=segmenter"
        )


def confusion_matrix(given: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Confusion matrix of two label maps of one shape, (K, K) float64, without the pixels whose given label is IGNORED.

    Raises ZooError for a given label outside 0 … K - 1.
    """
    check_labels(given, classes)
    return multiclass_confusion_matrix(predicted, given, classes, ignore_index=IGNORED, validate_args=False).double()


def mean_iou(confusion: Tensor) -> float:
    """Intersection over union over all pixels, averaged over the classes that occur among the given labels."""
    correct, given, predicted = confusion.diag(), confusion.sum(1), confusion.sum(0)
    return float((correct / (given + predicted - correct))[given > 0].mean())


def pixel_accuracy(confusion: Tensor) -> float:
    """Share of pixels whose predicted label is the given one."""
    return float(confusion.trace() / confusion.sum())


class LabelMIoU(VideoMetric):
    """``label_miou``, and ``label_accuracy``: the share of pixels whose predicted label is the given one.

    ``real/…`` shows how well the segmenter does on real clips: the best value attainable. Each frame is segmented by
    itself.
    """

    generated: Tensor
    real: Tensor

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        assert setup.segmenter is not None
        self.name, self.segmenter = name, setup.segmenter
        self.classes = len(self.segmenter.spec.label_names)
        for state in ("generated", "real"):
            self.add_state(state, torch.zeros(self.classes, self.classes, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, videos: Videos, real: bool) -> None:
        """Segment a batch, and add its confusion matrix. Raises ZooError for clips without labels."""
        if "labels" not in videos.clip:
            raise ZooError(
                f"{self.name} compares given labels with predicted ones, but these clips have no labels. Leave it out, "
                "or evaluate on a data set with labels."
            )
        counts = confusion_matrix(videos.clip["labels"], videos.cached(self.segmenter.segment), self.classes)
        if real:
            self.real += counts
        else:
            self.generated += counts

    def compute(self) -> MetricValues:
        """Return the values of the samples and of the real clips."""
        return {
            self.name: mean_iou(self.generated),
            "label_accuracy": pixel_accuracy(self.generated),
            f"real/{self.name}": mean_iou(self.real),
            "real/label_accuracy": pixel_accuracy(self.real),
        }
