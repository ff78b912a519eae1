"""The catalogue of metrics: name, meaning, direction and requirements of each. Imports no torch.

A metric is one file in ``metrics/`` and one line here. `zoo.evaluation.choice` decides which metrics are computed.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

Tool = Literal["", "features", "classifier", "segmenter", "flow", "training"]
"""What a metric needs besides clips: a feature network, a classifier, a segmenter, an optical flow estimator, or the
training clips. "" is nothing."""


@dataclass(frozen=True)
class MetricCard:
    """What the zoo knows of a metric without importing it."""

    name: str
    """Name of the metric, as it is typed."""

    title: str
    """One line on what is measured, with its unit."""

    builds: str
    """Class of the metric, ``file:Class`` in ``metrics/``."""

    better: Literal["min", "max", ""]
    """Whether lower or higher values are better; "" where neither is."""

    tool: Tool = ""
    """What the metric needs besides clips."""

    paired: bool = False
    """Compares each sample with its real clip."""

    draws: bool = False
    """Compares several samples of the same clip."""

    argument: str = ""
    """Variant of the class, such as the backbone of LPIPS; passed on as ``Setup.argument``."""

    def load(self) -> type[Any]:
        """Import the class of the metric, and torch with it."""
        module, _, name = self.builds.partition(":")
        return getattr(importlib.import_module(f"zoo.evaluation.metrics.{module}"), name)


CARDS = (
    MetricCard("l1", "mean absolute error of pixels in [-1, 1]", "pixels:L1", "min", paired=True),
    MetricCard("psnr", "dB, averaged over frames", "pixels:PSNR", "max", paired=True),
    MetricCard("ssim", "structural similarity, 11 px Gaussian", "ssim:SSIM", "max", paired=True),
    MetricCard("ms_ssim", "SSIM at five scales; frames of at least 176 px", "ssim:MSSSIM", "max", paired=True),
    MetricCard("lpips_alex", "perceptual distance, AlexNet", "lpips:LPIPS", "min", paired=True, argument="alex"),
    MetricCard("lpips_vgg", "perceptual distance, VGG-16", "lpips:LPIPS", "min", paired=True, argument="vgg"),
    MetricCard(
        "lpips_squeeze", "perceptual distance, SqueezeNet", "lpips:LPIPS", "min", paired=True, argument="squeeze"
    ),
    MetricCard("fvd", "Fréchet distance of clip features", "frechet:FVD", "min", "features"),
    MetricCard("fid", "Fréchet distance of frame features", "frechet:FID", "min", "features"),
    MetricCard(
        "classifier_frechet",
        "Fréchet distance of the classifier's clip features",
        "frechet:ClassifierFrechet",
        "min",
        "classifier",
    ),
    MetricCard("kvd", "kernel distance (MMD²) of clip features", "kernel:KVD", "min", "features"),
    MetricCard("kid", "kernel distance (MMD²) of frame features", "kernel:KID", "min", "features"),
    MetricCard("inception_score", "Inception score of frames", "inception:InceptionScore", "max", "features"),
    MetricCard("video_is", "Inception score of clips (C3D)", "inception:VideoIS", "max", "features"),
    MetricCard("warping_error", "mean |x_t - warp(x_t-1)| where visible", "warping:WarpingError", "min", "flow"),
    MetricCard("flicker", "mean |x_t+1 - 2 x_t + x_t-1|", "motion:Flicker", ""),
    MetricCard("sharpness", "gradient energy, as a ratio to that of real clips", "sharpness:Sharpness", ""),
    MetricCard("motion", "mean length of the flow, pixels per frame", "motion:Motion", "", "flow"),
    MetricCard(
        "accuracy",
        "share of clips whose attributes are classified as requested",
        "attribute_scores:AttributeScores",
        "max",
        "classifier",
    ),
    MetricCard(
        "label_miou", "mean IoU of predicted labels and conditioning labels", "labels:LabelMIoU", "max", "segmenter"
    ),
    MetricCard(
        "diversity", "mean distance between samples of one clip, first 8 draws", "diversity:Diversity", "", draws=True
    ),
    MetricCard("memorisation", "distance to the nearest training clip", "memorisation:Memorisation", "", "training"),
)
METRICS = {card.name: card for card in CARDS}
FURTHER_METRICS: dict[str, Literal["min", "max", ""]] = {
    "miou": "max",
    "pixel_accuracy": "max",
    "label_accuracy": "max",
    "conditional_entropy": "min",
    "marginal_entropy": "max",
}
"""Direction of the values that have no card: those that `accuracy` and `label_miou` return as well, and those of a
segmenter's validation."""


def better(name: str) -> Literal["min", "max", ""]:
    """Whether lower or higher values are better, by the name of a value: ``psnr``, ``psnr_best``, ``psnr/17-64``,
    ``accuracy_action``. "" for ``real/<metric>`` and for unknown names."""
    stem = name.partition("/")[0]
    if stem in FURTHER_METRICS:
        return FURTHER_METRICS[stem]
    parts = stem.split("_")
    for length in range(len(parts), 0, -1):
        if card := METRICS.get("_".join(parts[:length])):
            return card.better
    return ""
