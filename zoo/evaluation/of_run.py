"""Measures a trained model: every held-out clip is sampled once (or once a draw), and measured by many metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lightning.fabric.utilities import move_data_to_device
from torch.utils.data import default_collate

from zoo.data.base import ClipSet, DataConfig, build_set
from zoo.devices.hardware import find_device
from zoo.errors import ZooError, one_of
from zoo.evaluation.catalogue import METRICS, OF_MOVEMENT, OF_SAMPLES, exact_flow_problems, mistakes
from zoo.evaluation.features.names import check_features
from zoo.evaluation.metric import Figures
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import add_result
from zoo.evaluation.suite import Suite
from zoo.evaluation.tools import check_bound, given_tools, open_tools
from zoo.flow import ESTIMATORS
from zoo.model import VideoModel
from zoo.runs.load import data_config, find_checkpoint, load, read_config, training_seed
from zoo.runs.wandb_logger import log_evaluation
from zoo.settings import EvaluateSettings
from zoo.types import Clip, SampleRequest

MOST_CLIPS = 256
"""How many are measured where the user does not say, and as many are there."""
OF_FEATURES = {"c3d": ["video_is"], "inception": ["kid", "inception_score"]}
"""What is usual with a network, whatever the number of clips; with every other it is kvd. A Fréchet distance needs more
clips than there are features, so it has to be asked for."""


@dataclass(frozen=True)
class EvaluationResult:
    """What came out under one protocol. given: what the samples were made from."""

    given: str
    protocol: Protocol
    figures: Figures


def evaluate_run(settings: EvaluateSettings) -> list[EvaluationResult]:
    """Measure ``settings.run`` and add a line for each protocol to its results.jsonl; a ZooError for what cannot be."""
    model, config = load(str(settings.run)), data_config(str(settings.run))
    if not model.card.samples:
        raise ZooError(
            f"{settings.run} is a {model.card.name}: it makes no videos to measure. Type the run of another."
        )
    if settings.temperature is not None and "temperature" not in model.card.options:
        raise ZooError(f"{model.card.name} has no temperature. Leave it out.")
    model.to(find_device(settings.accelerator))
    if settings.cuda_graphs:
        model.capture_cuda_graphs()
    classifier = load(settings.classifier) if settings.classifier else None
    measured = []
    for context in _contexts(settings, model):
        measured += _evaluate(settings, model, config, context, classifier)
    folder = find_checkpoint(str(settings.run)).parent.resolve()
    figures = {each.protocol.key(name): value for each in measured for name, value in each.figures.items()}
    log_evaluation(folder, read_config(folder).get("logger", {}).get("project"), model.clips_seen, figures)
    return measured


def _contexts(settings: EvaluateSettings, model: VideoModel[Any]) -> list[int]:
    """As asked; else one frame, and none as well where a model begins from nothing and no pairs are compared."""
    if settings.context is not None:
        return [settings.context]
    pairs = any(METRICS[name].paired for name in settings.metrics or () if name in METRICS)
    return [0, 1] if "generate" in model.card.tasks and not pairs else [max(1, model.config.least_context)]


def _evaluate(
    settings: EvaluateSettings,
    model: VideoModel[Any],
    config: DataConfig,
    context: int,
    classifier: VideoModel[Any] | None,
) -> list[EvaluationResult]:
    names = settings.metrics or usual(settings, model, context)
    _check(settings, model, names, context)
    frames = settings.frames or _frames(model, context, classifier)
    if frames <= context:
        raise ZooError(f"frames={frames} leaves nothing to make after context={context}. Try: frames={context + 8}")
    fields = (
        model.card.wanted() | {"attributes", "labels"} | ({"flow", "visibility"} if settings.flow == "exact" else set())
    )
    real = build_set(replace(config, frames=frames), "val", fields, seed=0)
    clips = _count(settings.clips, real, config.name, frames)
    spec = model.spec
    protocol = Protocol(
        data=config.name,
        split="val",
        clips=clips,
        frames=frames,
        context=context,
        fps=spec.fps,
        height=spec.height,
        width=spec.width,
        seed=settings.seed,
        draws=settings.draws,
        settings=config.shaping(),
        options={} if settings.temperature in (None, 1.0) else {"temperature": settings.temperature},
    )
    setup = open_tools(settings, names, protocol, spec, config, training_seed(str(settings.run)), classifier)
    suite = Suite(names, protocol, setup)
    for clip in batches(real, clips, frames, settings.batch_size):
        clip = move_data_to_device(clip, model.device)
        requests = [
            SampleRequest(frames, clip, context, settings.seed, d, protocol.options) for d in range(settings.draws)
        ]
        suite.update(clip, [model.sample(request).video for request in requests])
    return _kept(settings, model, suite, context)


def _kept(settings: EvaluateSettings, model: VideoModel[Any], suite: Suite, context: int) -> list[EvaluationResult]:
    """Write what came out; what a classifier says only if it knows the real clips, and after all the rest."""
    folder, given = find_checkpoint(str(settings.run)).parent, model.given(context)
    found = sorted(suite.compute(), key=lambda pair: pair[0].features == "classifier")
    for protocol, figures in found:
        check_bound(figures)
        add_result(folder, model, figures, protocol, given)
    return [EvaluationResult(given, protocol, figures) for protocol, figures in found]


def usual(settings: EvaluateSettings, model: VideoModel[Any], context: int) -> list[str]:
    """The metrics of a run where the user names none: all that the tools at hand allow and the samples are made for."""
    names = list(OF_SAMPLES) if model.source or context else []
    names += OF_MOVEMENT
    names += OF_FEATURES.get(str(settings.features), ["kvd"]) if settings.features else []
    names += ["accuracy"] if settings.classifier else []
    names += ["label_miou"] if settings.segmenter and model.source == "labels" else []
    return [*names, "diversity"] if settings.draws > 1 else names


def _check(settings: EvaluateSettings, model: VideoModel[Any], names: Sequence[str], context: int) -> None:
    """Everything that can be known before a clip is sampled."""
    check_counts(settings, ("clips", "frames", "draws", "batch_size"))
    for name, usual_value in (("height", None), ("width", None), ("fps", None), ("clips_per_video", 1)):
        if getattr(settings, name) != usual_value:
            raise ZooError(f"{name}= is of two folders; a run is measured as it was trained. Leave it out.")
    if settings.temperature is not None and settings.temperature < 0:
        raise ZooError(f"temperature={settings.temperature} is too small. Try: temperature=0")
    one_of("flow", settings.flow, ESTIMATORS)
    least = model.config.least_context
    if context < least:
        raise ZooError(f"context={context}, but this {model.card.name} begins with {least}. Try: context={least}")
    if settings.features:
        check_features(settings.features, settings.features_weights)
    found = mistakes(names, given_tools(settings, training=True))
    for name in names:
        card = METRICS.get(name)
        if card and card.draws and settings.draws < 2:
            found.append(f"{name} compares several draws of one clip. Try: draws=4")
        if card and card.paired and not (model.source or context):
            found.append(f"{name} compares with a real clip, and nothing says which clip it should be. Try: context=1")
        if card and card.tool == "segmenter" and model.source != "labels":
            found.append(f"{name} is of models that paint labels, and this {model.card.name} does not. Leave it out.")
    if settings.flow == "exact":
        found += exact_flow_problems(model.source is not None, model.spec)
    if found:
        raise ZooError("\n".join(found))


def check_counts(settings: EvaluateSettings, names: Sequence[str]) -> None:
    """A ZooError for a number that is none of things."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise ZooError(f"{name}={value}: one at least. Try: {name}=16")


def _frames(model: VideoModel[Any], context: int, classifier: VideoModel[Any] | None) -> int:
    """As in training; before a classifier as many are made as it has learnt to look at."""
    return model.spec.frames if classifier is None else classifier.spec.frames + context


def _count(asked: int | None, real: ClipSet, data: str, frames: int) -> int:
    if asked is not None and asked > len(real):
        raise ZooError(
            f"The data set `{data}` has {len(real)} evaluation clips of {frames} frames; {asked} were asked for. "
            f"Try: clips={len(real)}"
        )
    return asked or min(MOST_CLIPS, len(real))


def batches(clips: ClipSet, count: int, frames: int, batch_size: int) -> Iterator[Clip]:
    """The first ``count`` clips in order."""
    for first in range(0, count, batch_size):
        yield default_collate([clips.clip(i, 0, frames) for i in range(first, min(first + batch_size, count))])
