"""The catalogue of metrics: name, meaning, direction and requirements of each. Imports no torch.

A metric is one file in ``metrics/`` and one line here. `zoo.evaluation.choice` decides which metrics are computed.
"""

from __future__ import annotations

import importlib
import re
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

    context: bool = False
    """Needs real frames that are given before the sample."""

    ranks: bool = False
    """Only for metrics of movement: passed the test that it puts real clips above blurred, shuffled, frozen and
    flickering ones."""

    argument: str = ""
    """Variant of the class, such as the backbone of LPIPS; passed on as ``Setup.argument``."""

    version: int = 1
    """Counts the definitions of the metric. A change of its values raises it; values of an older version are read from
    results.jsonl as ``<metric>-v1``, so they never share a column with new ones."""

    @property
    def decides(self) -> bool:
        """Whether a model must be better in it to be past a trivial row: paired metrics, distances of sets, and metrics
        of movement that rank. Scores, such as the Inception score and accuracies, do not count."""
        is_distance = self.tool in ("features", "classifier") and self.better == "min"
        return bool(self.better) and (self.paired or is_distance or self.ranks)

    def load(self) -> type[Any]:
        """Import the class of the metric, and torch with it."""
        module, _, name = self.builds.partition(":")
        return getattr(importlib.import_module(f"zoo.evaluation.metrics.{module}"), name)


CARDS = (
    MetricCard("l1", "mean absolute error of pixels in [-1, 1]", "pixels:L1", "min", paired=True),
    MetricCard(
        "mse_sum",
        "squared error on [0, 1], sum over a frame",
        "pixels:SquaredErrorSum",
        "min",
        paired=True,
    ),
    MetricCard(
        "mae_sum",
        "absolute error on [0, 1], sum over a frame",
        "pixels:AbsoluteErrorSum",
        "min",
        paired=True,
    ),
    MetricCard("psnr", "dB, averaged over frames", "pixels:PSNR", "max", paired=True),
    MetricCard("ssim", "structural similarity on [0, 1], 11 px Gaussian", "ssim:SSIM", "max", paired=True, version=2),
    MetricCard(
        "ssim_range2",
        "SSIM as SVG's release and OpenSTL report it: 7 px box, range 2; higher than ssim",
        "ssim:BoxSSIM",
        "max",
        paired=True,
    ),
    MetricCard(
        "ms_ssim", "SSIM at five scales; frames of at least 176 px", "ssim:MSSSIM", "max", paired=True, version=2
    ),
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
    MetricCard("kvd", "kernel distance (MMD²) of clip features", "kernel:KVD", "min", "features", version=2),
    MetricCard("kid", "kernel distance (MMD²) of frame features", "kernel:KID", "min", "features", version=2),
    MetricCard("mind", "sliced Wasserstein-2 distance of clip features", "mind:NetworkMind", "min", "features"),
    MetricCard(
        "classifier_mind",
        "sliced Wasserstein-2 distance of the classifier's clip features",
        "mind:ClassifierMind",
        "min",
        "classifier",
    ),
    MetricCard(
        "precision",
        "share of samples among the real clips, by 3 neighbours in clip features",
        "precision_recall:NetworkPrecisionRecall",
        "max",
        "features",
        argument="precision",
    ),
    MetricCard(
        "recall",
        "share of real clips among the samples, by 3 neighbours in clip features",
        "precision_recall:NetworkPrecisionRecall",
        "max",
        "features",
        argument="recall",
    ),
    MetricCard(
        "classifier_precision",
        "precision in the classifier's clip features",
        "precision_recall:ClassifierPrecisionRecall",
        "max",
        "classifier",
        argument="precision",
    ),
    MetricCard(
        "classifier_recall",
        "recall in the classifier's clip features",
        "precision_recall:ClassifierPrecisionRecall",
        "max",
        "classifier",
        argument="recall",
    ),
    MetricCard("inception_score", "Inception score of frames", "inception:InceptionScore", "max", "features"),
    MetricCard("video_is", "Inception score of clips (C3D)", "inception:VideoIS", "max", "features"),
    MetricCard(
        "warping_error", "mean |x_t - warp(x_t-1)| where visible; prefers blur", "warping:WarpingError", "min", "flow"
    ),
    MetricCard(
        "temporal_distance",
        "changes between frames against those of real clips",
        "temporal:TemporalDistance",
        "min",
        ranks=True,
    ),
    MetricCard(
        "first_step",
        "step from the last given frame to the first generated one, against that of real clips",
        "temporal:FirstStep",
        "min",
        context=True,
        ranks=True,
    ),
    MetricCard("flicker", "mean |x_t+1 - 2 x_t + x_t-1|", "motion:Flicker", ""),
    MetricCard("sharpness", "gradient energy, as a ratio to that of real clips", "sharpness:Sharpness", ""),
    MetricCard(
        "motion", "mean length of the flow, pixels per frame; of DIS, noise on still walls", "motion:Motion", "", "flow"
    ),
    MetricCard(
        "acd",
        "mean distance of the mean colours of a clip's frames, 0 to 255; 0 for any frozen clip",
        "content:ColourContent",
        "",
    ),
    MetricCard(
        "classifier_acd",
        "the same of the classifier's features of each frame; 0 for any frozen clip",
        "content:ClassifierContent",
        "",
        "classifier",
    ),
    MetricCard(
        "clean_clips",
        "share of clips with one thing of one shape and size that moves one way, on a plain background",
        "clean_clips:CleanClips",
        "max",
    ),
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
REAL = "real/"  # begins the name of a value of the real clips
FURTHER_METRICS: dict[str, Literal["min", "max", ""]] = {
    "miou": "max",
    "pixel_accuracy": "max",
    "label_accuracy": "max",
    "conditional_entropy": "min",
    "marginal_entropy": "max",
}
"""Direction of the values that have no card: those that `accuracy` and `label_miou` return as well, and those of a
segmenter's validation."""


def find_card(name: str) -> MetricCard | None:
    """The card of the metric that writes a value of this name, such as ``psnr_best`` or ``real/flicker``; of several,
    the one with the longest name. None for unknown names, and for values of an older version such as ``ssim-v1``."""
    stem = name.removeprefix(REAL).partition("/")[0]
    parts = [] if "-v" in stem else stem.split("_")
    cards = (METRICS.get("_".join(parts[:length])) for length in range(len(parts), 0, -1))
    return next((card for card in cards if card), None)


def versioned(name: str, version: int) -> str:
    """Name of a value of another version than the card's: ``ssim_best``, 1 -> ``ssim_best-v1``; ``ssim/1-16``, 1 ->
    ``ssim-v1/1-16``."""
    prefix = REAL if name.startswith(REAL) else ""
    stem, slash, window = name.removeprefix(REAL).partition("/")
    return f"{prefix}{stem}-v{version}{slash}{window}"


def current_name(name: str) -> str:
    """The name without a version: ``ssim-v1/1-16`` -> ``ssim/1-16``."""
    return re.sub(r"-v\d+(?=/|$)", "", name)


def better(name: str) -> Literal["min", "max", ""]:
    """Whether lower or higher values are better, by the name of a value: ``psnr``, ``psnr_best``, ``psnr/17-64``,
    ``accuracy_action``, ``ssim-v1``. "" for ``real/<metric>`` and for unknown names."""
    if name.startswith(REAL):
        return ""
    stem = current_name(name).partition("/")[0]
    if stem in FURTHER_METRICS:
        return FURTHER_METRICS[stem]
    card = find_card(stem)
    return card.better if card else ""
