"""Every metric by name: what it is, which way is better, what it needs. Imports no torch.

A metric is one file in ``metrics/`` and one line here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from zoo.card import ModelCard
from zoo.errors import listed, nearest
from zoo.types import ClipSpec

Tool = Literal["", "features", "classifier", "segmenter", "flow", "training"]
"""What a metric is built with: a feature network, a classifier, a segmenter, an estimator of flow, clips of the
training."""


@dataclass(frozen=True)
class MetricCard:
    """builds: ``file:Class`` in ``metrics/``. better: which way, "" where neither. paired: needs a real clip that the
    sample should equal. draws: needs several samples of one clip. argument: what the class is told beside its tool."""

    name: str
    title: str
    builds: str
    better: Literal["min", "max", ""]
    tool: Tool = ""
    paired: bool = False
    draws: bool = False
    argument: str = ""

    def load(self) -> type[Any]:
        """The class; this is where torch comes in."""
        module, _, name = self.builds.partition(":")
        return getattr(importlib.import_module(f"zoo.evaluation.metrics.{module}"), name)  # type: ignore[no-any-return]


CARDS = (
    MetricCard("l1", "mean absolute error of values in [-1, 1]", "pixels:L1", "min", paired=True),
    MetricCard("psnr", "dB, of each frame, then the mean", "pixels:PSNR", "max", paired=True),
    MetricCard("ssim", "structural similarity, 11 px Gaussian", "ssim:SSIM", "max", paired=True),
    MetricCard("ms_ssim", "SSIM at five scales, from 176 px on", "ssim:MSSSIM", "max", paired=True),
    MetricCard("lpips_alex", "perceptual distance, AlexNet", "lpips:LPIPS", "min", paired=True, argument="alex"),
    MetricCard("lpips_vgg", "perceptual distance, VGG-16", "lpips:LPIPS", "min", paired=True, argument="vgg"),
    MetricCard(
        "lpips_squeeze", "perceptual distance, SqueezeNet", "lpips:LPIPS", "min", paired=True, argument="squeeze"
    ),
    MetricCard("fvd", "Fréchet distance of features of clips", "frechet:FVD", "min", "features"),
    MetricCard("fid", "Fréchet distance of features of frames", "frechet:FID", "min", "features"),
    MetricCard(
        "classifier_frechet",
        "Fréchet distance of the classifier's features",
        "frechet:ClassifierFrechet",
        "min",
        "classifier",
    ),
    MetricCard("kvd", "kernel distance (MMD²) of features of clips", "kernel:KVD", "min", "features"),
    MetricCard("kid", "kernel distance (MMD²) of features of frames", "kernel:KID", "min", "features"),
    MetricCard("inception_score", "Inception score of frames", "inception:InceptionScore", "max", "features"),
    MetricCard("video_is", "Inception score of clips (C3D)", "inception:VideoIS", "max", "features"),
    MetricCard("warping_error", "mean |x_t - warp(x_t-1)| where visible", "warping:WarpingError", "min", "flow"),
    MetricCard("flicker", "mean |x_t+1 - 2 x_t + x_t-1|", "motion:Flicker", ""),
    MetricCard("motion", "mean length of flow, pixels a frame", "motion:Motion", "", "flow"),
    MetricCard(
        "accuracy",
        "attributes that the classifier reads as asked",
        "classified:AttributeScores",
        "max",
        "classifier",
    ),
    MetricCard("label_miou", "labels read off the sample against given", "labels:LabelMIoU", "max", "segmenter"),
    MetricCard("diversity", "mean distance between draws", "diversity:Diversity", "", draws=True),
    MetricCard("memorisation", "nearest training clip", "memorisation:Memorisation", "", "training"),
)
METRICS = {card.name: card for card in CARDS}
ALSO: dict[str, Literal["min", "max", ""]] = {
    "miou": "max",
    "pixel_accuracy": "max",
    "label_accuracy": "max",
    "conditional_entropy": "min",
    "marginal_entropy": "max",
}
"""What `accuracy` and `label_miou` measure besides, and what a round of a segmenter does."""


def better(name: str) -> Literal["min", "max", ""]:
    """Which way is better of a figure by its name: ``psnr``, ``psnr_best``, ``psnr/17-64``, ``accuracy_action``.
    Neither of a figure of real clips, ``real/…``."""
    stem = name.partition("/")[0]
    if stem in ALSO:
        return ALSO[stem]
    parts = stem.split("_")
    for length in range(len(parts), 0, -1):
        if card := METRICS.get("_".join(parts[:length])):
            return card.better
    return ""


OF_SAMPLES = ("l1", "psnr", "ssim")
OF_MOVEMENT = ("warping_error", "flicker", "motion")


def has_pairs(card: ModelCard, context: int) -> bool:
    """Whether a sample with so many real frames has a real clip that it should equal: one that is painted from a clip,
    or goes on with one. What a model makes from nothing, or from attributes alone, has none."""
    return context > 0 or "translate" in card.tasks


def of_round(card: ModelCard, context: int) -> tuple[str, ...]:
    """What a training measures of a model that makes videos, where the user does not say."""
    return OF_SAMPLES if has_pairs(card, context) else OF_MOVEMENT


def monitored(card: ModelCard, metrics: Sequence[str]) -> tuple[str, ...]:
    """The metrics that a training can be monitored by, the usual one first: those that compare with the real clip. None
    where there are no pairs: a film that stands still has the best of warping errors."""
    if card.samples:
        return tuple(name for name in metrics if METRICS[name].paired)
    return ("miou",) if "segment" in card.tasks else ("accuracy",)


def mistakes(names: Iterable[str], tools: Sequence[str], group: str = "") -> list[str]:
    """Sentences about names that are no metrics, and metrics whose tool is not there; ``group`` is before a setting."""
    sentences = []
    for name in names:
        if name not in METRICS:
            sentences.append(f"There is no metric `{name}`.{nearest(name, METRICS)} Known: {listed(METRICS)}.")
        elif (tool := METRICS[name].tool) and tool not in tools:
            sentences.append(f"The metric {name} needs {HOW_TO_GIVE[tool].format(group)}.")
    return sentences


HOW_TO_GIVE = {
    "features": "a network of features. Try: {0}features=r3d_18, or a TorchScript file",
    "classifier": "a classifier. Train one with model=classifier, then: {0}classifier=runs/<run>",
    "segmenter": "a segmenter. Train one with model=segmenter, then: {0}segmenter=runs/<run>",
    "flow": "an estimator of flow. Try: {0}flow=dis",
    "training": "the training clips of a run; two folders have none. Leave it out",
}


def exact_flow_problems(translates: bool, spec: ClipSpec, group: str = "") -> list[str]:
    """Sentences about what hinders that samples are measured with the exact flow of the real clips."""
    if not translates:
        return [f"{group}flow=exact is how the real clip moves, which only a sample painted from it must do. Try: dis"]
    if "flow" not in spec.fields:
        return [
            f"{group}flow=exact needs a data set with flow; this one has {listed(spec.fields)}. Try: {group}flow=dis"
        ]
    return []
