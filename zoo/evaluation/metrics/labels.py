"""The labels that a sample was painted from against those that a segmenter reads off it.

A matrix of confusion counts pixels, a row a given label and a column a read one.

Shapes: B clips, T frames, H x W pixels, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from zoo.errors import ZooError
from zoo.evaluation.metric import Figures, Setup, VideoMetric, Videos


def check_labels(given: Tensor, classes: int) -> None:
    """A ZooError for a given label that is no class."""
    low, high = (int(value) for value in torch.aminmax(given))
    if low < 0 or high >= classes:
        raise ZooError(
            f"The clips have labels from {low} to {high}; the segmenter knows {classes}, 0 to {classes - 1}."
        )


def confusion(given: Tensor, read: Tensor, classes: int) -> Tensor:
    """Two maps of one shape to pixels counted, (K, K) float64. A ZooError for a given label that is no class."""
    check_labels(given, classes)
    return multiclass_confusion_matrix(read, given, classes, validate_args=False).double()


def mean_iou(confusion: Tensor) -> float:
    """Intersection over union, each over all pixels, then the mean over the classes that are given somewhere."""
    right, given, read = confusion.diag(), confusion.sum(1), confusion.sum(0)
    return float((right / (given + read - right))[given > 0].mean())


def share_right(confusion: Tensor) -> float:
    """Of pixels."""
    return float(confusion.trace() / confusion.sum())


class LabelMIoU(VideoMetric):
    """``label_miou`` and ``label_accuracy``, the share of pixels that are read as given; of real clips, the bounds: a
    segmenter errs, too. Labels are read off each frame by itself."""

    made: Tensor
    real: Tensor

    def __init__(self, name: str, setup: Setup) -> None:
        super().__init__()
        assert setup.segmenter is not None
        self.name, self.segmenter = name, setup.segmenter
        self.classes = len(self.segmenter.spec.label_names)
        for state in ("made", "real"):
            self.add_state(state, torch.zeros(self.classes, self.classes, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, videos: Videos, real: bool) -> None:
        """Read, and count."""
        if "labels" not in videos.clip:
            raise ZooError(
                f"{self.name} compares the labels that are given with those that are read, and these clips have none. "
                "Leave it out, or evaluate on a data set that has labels."
            )
        counted = confusion(videos.clip["labels"], videos.once(self.segmenter.segment), self.classes)
        if real:
            self.real += counted
        else:
            self.made += counted

    def compute(self) -> Figures:
        """Of the samples, and of the real clips."""
        return {
            self.name: mean_iou(self.made),
            "label_accuracy": share_right(self.made),
            f"real/{self.name}": mean_iou(self.real),
            "real/label_accuracy": share_right(self.real),
        }
