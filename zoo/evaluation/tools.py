"""What metrics measure with: networks of features, a classifier, a segmenter, an estimator of flow, training clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from zoo.data.base import DataConfig, build_set
from zoo.errors import ZooError, listed
from zoo.evaluation.catalogue import METRICS, Tool
from zoo.evaluation.metric import Setup
from zoo.evaluation.protocol import Protocol
from zoo.flow.estimators import build_estimator
from zoo.model import VideoModel
from zoo.runs.load import load
from zoo.settings import EvaluationTools
from zoo.types import ClipSpec

LEAST_ACCURACY = 0.99
"""What a classifier must have reached on held-out real clips, for every attribute, before it classifiers anything."""
LEAST_MIOU = 0.5
"""What a segmenter must have reached. Puppets' limbs are few pixels, mostly border, so it is far from 1."""


def open_tools(
    settings: EvaluationTools,
    names: Sequence[str],
    protocol: Protocol,
    spec: ClipSpec,
    data: DataConfig | None,
    seed: int = 0,
    classifier: VideoModel[Any] | None = None,
) -> Setup:
    """Open what these metrics need and nothing else. A ZooError where it is not there, or does not fit the clips.

    spec: of the clips. data, seed: of the training; None where nothing is known of one. classifier: that of the
    settings, where it is in memory.
    """
    needed: set[Tool] = {METRICS[name].tool for name in names}
    setup: dict[str, Any] = {}
    if "flow" in needed:
        setup["flow"] = build_estimator(settings.flow)
    if "features" in needed:
        from zoo.evaluation.features.load import load_features

        assert settings.features is not None
        setup["features"] = load_features(settings.features, settings.features_weights, settings.features_sha256)
    if "classifier" in needed:
        setup["classifier"] = open_classifier(str(settings.classifier), spec, classifier)
    if "segmenter" in needed:
        setup["segmenter"] = open_segmenter(str(settings.segmenter), spec)
    if "training" in needed:
        assert data is not None
        setup["training"] = build_set(replace(data, frames=protocol.frames), "train", frozenset(), seed)
    measured = protocol.frames - protocol.context
    return Setup(measured, protocol.clips, protocol.draws, protocol.context, **setup)


def given_tools(settings: EvaluationTools, training: bool) -> list[Tool]:
    """The names of the tools that the settings give."""
    may: tuple[Tool, ...] = ("features", "classifier", "segmenter", "flow")
    return [tool for tool in may if getattr(settings, tool)] + (["training"] if training else [])


def open_classifier(path: str, spec: ClipSpec, classifier: VideoModel[Any] | None = None) -> VideoModel[Any]:
    """A classifier that is good enough and has seen such clips; it is read from the path unless it is in memory."""
    classifier = classifier or load(path)
    if classifier.card.tasks != {"classify"}:
        raise ZooError(
            f"classifier={path} is a {classifier.card.name}, which classifies nothing. Train one: model=classifier"
        )
    shares = {name: classifier.accuracy.get(name, float("nan")) for name in classifier.spec.attributes}
    weak = [f"{name} {share:.1%}" for name, share in shares.items() if not share >= LEAST_ACCURACY]
    if weak:
        raise ZooError(
            f"The classifier is not accurate enough on held-out real clips: {listed(weak)}, but {LEAST_ACCURACY:.0%} "
            f"is required for each attribute. Train it longer: budget.clips={4 * classifier.clips_seen}"
        )
    _check_same(
        classifier, spec, "classifier", ("height", "width", "fps", *(["attributes"] if spec.attributes else []))
    )
    return classifier


def open_segmenter(path: str, spec: ClipSpec) -> VideoModel[Any]:
    """A segmenter that knows the same classes and has seen frames of that size."""
    segmenter = load(path)
    if segmenter.card.tasks != {"segment"}:
        raise ZooError(f"segmenter={path} is a {segmenter.card.name}, which segments nothing. Train: model=segmenter")
    miou = segmenter.accuracy.get("miou", 0.0)
    if not miou >= LEAST_MIOU:
        raise ZooError(
            f"The segmenter reads held-out real clips too badly to read others: mean IoU {miou:.2f}, where {LEAST_MIOU}"
            f" is needed. Train it longer: budget.clips={4 * segmenter.clips_seen}"
        )
    _check_same(segmenter, spec, "segmenter", ("height", "width", "label_names"))
    return segmenter


def _check_same(tool: VideoModel[Any], spec: ClipSpec, name: str, what: Sequence[str]) -> None:
    for each in what:
        seen, made = getattr(tool.spec, each), getattr(spec, each)
        if seen != made:
            raise ZooError(f"The {name} was trained on clips of {each} {seen}; those here have {made}. Train another.")


def check_bound(figures: dict[str, float]) -> None:
    """A ZooError if the classifier does not know the very clips that figures are compared with: it comes from
    elsewhere."""
    weak = [
        f"{name.removeprefix('real/')} {share:.1%}"
        for name, share in figures.items()
        if name.startswith("real/accuracy") and share < LEAST_ACCURACY
    ]
    if weak:
        raise ZooError(
            f"The classifier is not accurate enough on the real clips of this run's data: {listed(weak)}, but "
            f"{LEAST_ACCURACY:.0%} is required. Train one on the same data set, with the same settings."
        )
