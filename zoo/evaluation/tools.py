"""Open what metrics need besides clips: feature network, classifier, segmenter, flow estimator, training clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from zoo.data.base import DataConfig, build_set
from zoo.errors import ZooError, joined
from zoo.evaluation.catalogue import METRICS, Tool
from zoo.evaluation.metric import Setup
from zoo.evaluation.protocol import COVARIANCE_BY_N, Protocol
from zoo.flow.estimators import build_estimator
from zoo.model import VideoModel
from zoo.runs.load import load
from zoo.settings import EvaluationTools
from zoo.types import ClipSpec

LEAST_ACCURACY = 0.99
"""Accuracy on held-out real clips that a classifier must have for every attribute before it may be used."""
LEAST_MIOU = 0.5
"""Mean IoU on held-out real clips that a segmenter must have before it may be used. Far below 1, since the limbs of
puppets are a few pixels wide and mostly border."""


def open_tools(
    settings: EvaluationTools,
    names: Sequence[str],
    protocol: Protocol,
    spec: ClipSpec,
    data: DataConfig | None,
    seed: int = 0,
    classifier: VideoModel[Any] | None = None,
) -> Setup:
    """Open what these metrics need, and nothing else.

    spec: of the clips. data, seed: of the training; data is None where there is none. classifier: that of the
    settings, if it is loaded already. Raises ZooError for a tool that is missing or does not fit the clips.
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
    fewest = min(protocol.clips, protocol.samples or protocol.clips)
    by_n = protocol.variant == COVARIANCE_BY_N
    return Setup(measured, fewest, protocol.draws, protocol.context, covariance_by_n=by_n, **setup)


def open_classifier(path: str, spec: ClipSpec, classifier: VideoModel[Any] | None = None) -> VideoModel[Any]:
    """Return a classifier that is accurate enough and was trained on such clips; loaded from the path unless given.

    Raises ZooError for another model, for an accuracy below LEAST_ACCURACY, and for one trained on other clips.
    """
    classifier = classifier or load(path)
    if classifier.card.tasks != {"classify"}:
        raise ZooError(
            f"classifier={path} is a {classifier.card.name}, which classifies nothing. Train one: model=classifier"
        )
    accuracies = {name: classifier.accuracy.get(name, float("nan")) for name in classifier.spec.attributes}
    weak = [f"{name} {accuracy:.1%}" for name, accuracy in accuracies.items() if not accuracy >= LEAST_ACCURACY]
    if weak:
        raise ZooError(
            f"The classifier is not accurate enough on held-out real clips: {joined(weak)}, but {LEAST_ACCURACY:.0%} "
            f"is required for each attribute. Train it longer: budget.clips={4 * classifier.clips_seen}"
        )
    fields = ("height", "width", "channels", "fps", *(["attributes"] if spec.attributes else []))
    _check_same_clips(classifier, spec, "classifier", fields)
    return classifier


def open_segmenter(path: str, spec: ClipSpec) -> VideoModel[Any]:
    """Load a segmenter that is accurate enough and was trained on the same classes and frame size.

    Raises ZooError for another model, for a mean IoU below LEAST_MIOU, and for one trained on other clips.
    """
    segmenter = load(path)
    if segmenter.card.tasks != {"segment"}:
        raise ZooError(
            f"segmenter={path} is a {segmenter.card.name}, which segments nothing. Train one: model=segmenter"
        )
    miou = segmenter.accuracy.get("miou", 0.0)
    if not miou >= LEAST_MIOU:
        raise ZooError(
            f"The segmenter is not accurate enough on held-out real clips: mean IoU {miou:.2f}, but {LEAST_MIOU} is "
            f"required. Train it longer: budget.clips={4 * segmenter.clips_seen}"
        )
    _check_same_clips(segmenter, spec, "segmenter", ("height", "width", "channels", "label_names"))
    return segmenter


def _check_same_clips(tool: VideoModel[Any], spec: ClipSpec, name: str, fields: Sequence[str]) -> None:
    for field in fields:
        trained, here = getattr(tool.spec, field), getattr(spec, field)
        if trained != here:
            raise ZooError(
                f"The {name} was trained on clips of {field} {trained}; those here have {here}. Train one on this data "
                f"set: model={name}"
            )


def check_classifier_on_real_clips(values: dict[str, float]) -> None:
    """Raise a ZooError if the classifier is not accurate on the real clips that the samples are compared with, as one
    that was trained on other data."""
    weak = [
        f"{name.removeprefix('real/')} {accuracy:.1%}"
        for name, accuracy in values.items()
        if name.startswith("real/accuracy") and accuracy < LEAST_ACCURACY
    ]
    if weak:
        raise ZooError(
            f"The classifier is not accurate enough on the real clips of this run's data: {joined(weak)}, but "
            f"{LEAST_ACCURACY:.0%} is required. Train one on the same data set, with the same settings."
        )
