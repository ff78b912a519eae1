"""Does the model fit the data, the strategy and the evaluation? Each mismatch in a sentence, before torch comes in."""

from __future__ import annotations

from zoo.card import ModelCard
from zoo.data.base import DATA_SETS
from zoo.devices.hardware import machine_problems
from zoo.errors import ZooError, listed, one_of
from zoo.evaluation.catalogue import (
    METRICS,
    OF_SAMPLES,
    exact_flow_problems,
    has_pairs,
    mistakes,
    monitored,
    of_round,
)
from zoo.evaluation.features.names import check_features
from zoo.flow import ESTIMATORS
from zoo.settings import Evaluation, Train
from zoo.types import ClipSpec


def check(card: ModelCard, spec: ClipSpec, settings: Train) -> None:
    """Raise a ZooError with every mismatch that is found, one a line."""
    one_of("logger.wandb", settings.logger.wandb, ("auto", "online", "offline", "disabled"))
    found = [
        *_fields(card, spec, settings.data.name),
        *_shape(card, spec),
        *settings.model.problems(spec),
        *_labelled(card, settings.data.labelled_fraction),
        *machine_problems(card, settings),
        *_evaluation(card, spec, settings),
    ]
    if found:
        raise ZooError("\n".join(found))


def _fields(card: ModelCard, spec: ClipSpec, data: str) -> list[str]:
    sentences = []
    for group in card.missing(spec):
        names = " or ".join(f"`{name}`" for name in group)
        sets = [entry.card.name for entry in DATA_SETS.entries() if card.fits(entry.card.fields)]
        sentences.append(
            f"{card.name} needs {names} in every clip; "
            f"data set `{data}`, as it is set, provides {listed(spec.fields)}.\n"
            f"{_how_to_get(group, data)}"
            f"Data sets that can provide it: {listed(sets)}.    "
            f"Try: python -m zoo.train model={card.name} data=puppets"
        )
    return sentences


def _how_to_get(group: tuple[str, ...], data: str) -> str:
    """If this very data set could provide a field under another setting, name the setting."""
    able = [name for name in group if name in DATA_SETS.find(data).card.fields]
    return f"`{data}` can provide {listed(able)}: set data.{able[-1]}=….\n" if able else ""


def _shape(card: ModelCard, spec: ClipSpec) -> list[str]:
    sentences = []
    if spec.frames < card.min_frames:
        sentences.append(
            f"{card.name} trains on clips of {card.min_frames} frames or more; data.frames={spec.frames}. "
            f"Try: data.frames={card.min_frames}"
        )
    for name, pixels in (("height", spec.height), ("width", spec.width)):
        if pixels % card.size_multiple:
            near = max(round(pixels / card.size_multiple), 1) * card.size_multiple
            sentences.append(
                f"{card.name} needs a {name} that is a multiple of {card.size_multiple}; it is {pixels}. "
                f"Try: data.{name}={near}"
            )
    return sentences


def _labelled(card: ModelCard, fraction: float) -> list[str]:
    if fraction == 0 and ("attributes",) in card.needs:
        return [f"{card.name} learns from labels, and data.labelled_fraction=0 leaves none. Leave it out."]
    if 0 <= fraction <= 1:
        return []
    return [f"data.labelled_fraction={fraction} is no share of the training clips. Try: data.labelled_fraction=0.1"]


def _evaluation(card: ModelCard, spec: ClipSpec, settings: Train) -> list[str]:
    pairs = has_pairs(card, settings.evaluation.context)
    metrics = settings.evaluation.metrics or list(of_round(card, settings.evaluation.context))
    if found := _metrics(card, spec, settings.evaluation, metrics):
        return found
    if card.samples and not pairs and settings.callbacks.monitor is not None:
        return [
            f"callbacks.monitor={settings.callbacks.monitor}: samples of {card.name} that begin from nothing are "
            "compared with no clip, so no state is kept as the best. Leave it out, or type evaluation.context=1"
        ]
    if pairs and not monitored(card, metrics):
        return [f"best.ckpt is chosen by one of {listed(OF_SAMPLES)}, and evaluation.metrics has none. Add one: l1"]
    if settings.callbacks.monitor is not None:
        one_of("callbacks.monitor", settings.callbacks.monitor, monitored(card, metrics))
    for name in ("clips", "frames"):
        if (value := getattr(settings.evaluation, name)) is not None and value < 1:
            return [f"evaluation.{name}={value}: one at least. Try: evaluation.{name}=8"]
    if settings.evaluation.rounds < 1:
        return [f"evaluation.rounds={settings.evaluation.rounds}: a training is evaluated at its end at least. Try: 1"]
    if not card.samples:
        return []
    frames, least = settings.evaluation.frames or spec.frames, settings.model.least_context
    if settings.evaluation.context < least:
        return [
            f"evaluation.context={settings.evaluation.context}, but {settings.model.name} as it is set begins with "
            f"{least} real frame at least. Try: evaluation.context={least}"
        ]
    if settings.evaluation.context < frames:
        return []
    return [
        f"evaluation.context={settings.evaluation.context} leaves nothing to make in a clip of {frames} frames. "
        "Try: evaluation.context=1"
    ]


def _metrics(card: ModelCard, spec: ClipSpec, evaluation: Evaluation, metrics: list[str]) -> list[str]:
    if not card.samples:
        return [
            f"{card.name} makes no videos, so there is nothing to measure of them. Leave evaluation.metrics out."
        ] * (evaluation.metrics is not None)
    given = [tool for tool in ("features", "classifier", "segmenter", "flow") if getattr(evaluation, tool)]
    if evaluation.features:
        check_features(evaluation.features, evaluation.features_weights)
    found = mistakes(metrics, [*given, "training"], "evaluation.")
    if draws := [name for name in metrics if name in METRICS and METRICS[name].draws]:
        found.append(f"{listed(draws)} compares several draws, and a training makes one. Later: python -m zoo.evaluate")
    if any(METRICS[name].tool == "segmenter" for name in metrics if name in METRICS) and "translate" not in card.tasks:
        found.append(f"label_miou is of models that paint labels, and {card.name} does not. Leave it out.")
    paired = [name for name in metrics if name in METRICS and METRICS[name].paired]
    if paired and not has_pairs(card, evaluation.context):
        found.append(
            f"{listed(paired)} compares with a real clip, and nothing says which clip a sample of {card.name} is. "
            "Try: evaluation.context=1"
        )
    one_of("evaluation.flow", evaluation.flow, ESTIMATORS)
    if evaluation.flow == "exact":
        found += exact_flow_problems("translate" in card.tasks, spec, "evaluation.")
    return found
