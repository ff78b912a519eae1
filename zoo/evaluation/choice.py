"""Choose the metrics of a training, a run or two folders: the default ones, and what rules a metric out.

Imports no torch, so a wrong choice is reported before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from zoo.card import ModelCard, ModelConfig
from zoo.errors import ZooError, check_choice, joined, suggest
from zoo.evaluation.catalogue import METRICS, MetricCard, Tool
from zoo.evaluation.features.names import check_features
from zoo.flow import ESTIMATORS
from zoo.settings import EvaluationTools
from zoo.types import ClipSpec

PAIRED_DEFAULTS = ("l1", "psnr", "ssim")
MOTION_DEFAULTS = ("temporal_distance", "warping_error", "flicker", "motion")
FEATURE_DEFAULTS = {"c3d": ("video_is",), "inception": ("kid", "inception_score")}
"""Default metrics of a feature network; of any other network it is kvd. FVD and FID are computed on request only, since
they need more clips than the network has features."""

SET_TOOLS: tuple[Tool, ...] = ("features", "classifier")
"""The tools of set metrics that say which samples are better."""
SEVERAL_VALUES = ("accuracy",)
"""Metrics that have a value for each attribute instead of one of their own name."""

GIVABLE: tuple[Tool, ...] = ("features", "classifier", "segmenter", "flow")
"""The tools that a setting of the same name gives."""

HOW_TO_GIVE = {
    "features": "a feature network. Try: {0}features=r3d_18, or the path of a TorchScript file",
    "classifier": "a classifier. Train one with model=classifier, then type {0}classifier=runs/<run>",
    "segmenter": "a segmenter. Train one with model=segmenter, then type {0}segmenter=runs/<run>",
    "flow": "an optical flow estimator. Try: {0}flow=dis",
    "training": "the training clips of a run, which two folders do not have. Leave it out",
}


@dataclass(frozen=True)
class Situation:
    """What is evaluated, as far as the choice of metrics depends on it."""

    subject: Literal["training", "run", "folders"]
    """A validation round of a training, a trained model, or two folders of videos."""

    paired: bool
    """Each sample has one real clip that it should equal; `has_pairs` says so for a model."""

    translates: bool = False
    """Samples are translated from a clip, so they should move as the real clip does."""

    from_labels: bool = False
    """Samples are generated from label maps."""

    draws: int = 1
    """Samples for each clip."""

    spec: ClipSpec | None = None
    """Form of the clips. Its frame rate is 0 where it is unknown, as for folders of images."""

    model: str = ""
    """Name of the model, for error messages."""

    takes_frames: bool = True
    """The model can be given real frames."""

    context: int = 0
    """Real frames that the model is given."""


def has_pairs(card: ModelCard, context: int) -> bool:
    """Whether a sample has one real clip that it should equal: it is translated from a clip, or continues one.

    Unconditional samples, and samples from attributes alone, have no reference clip. context: number of real frames
    that the model sees.
    """
    return context > 0 or "translate" in card.tasks


def training_situation(card: ModelCard, config: ModelConfig, context: int, spec: ClipSpec) -> Situation:
    """The situation of a validation round. A model that translates is taken to generate from label maps."""
    translates, takes_frames = "translate" in card.tasks, config.context_frames[1] != 0
    paired = has_pairs(card, context)
    return Situation(
        "training",
        paired,
        translates,
        translates,
        spec=spec,
        model=card.name,
        takes_frames=takes_frames,
        context=context,
    )


def default_metrics(settings: EvaluationTools, situation: Situation) -> list[str]:
    """The metrics that are computed where ``settings.metrics`` is None.

    A validation round computes paired metrics only; where there are no pairs, the motion metrics, and those of a given
    feature network. An evaluation computes every metric that the samples and the given tools allow, without FVD and
    FID.
    """
    paired = list(PAIRED_DEFAULTS) if situation.paired else []
    of_features = FEATURE_DEFAULTS.get(settings.features, ("kvd",)) if settings.features else ()
    if situation.subject == "training":
        return paired or [*MOTION_DEFAULTS, *of_features]
    first_step = ["first_step"] if situation.context else []
    names = [*paired, *MOTION_DEFAULTS, *first_step, *of_features]
    if settings.classifier:
        names.append("accuracy")
    if settings.segmenter and situation.from_labels:
        names.append("label_miou")
    if situation.draws > 1:
        names.append("diversity")
    return names


def given_tools(settings: EvaluationTools) -> list[Tool]:
    """The tools that the settings give."""
    return [tool for tool in GIVABLE if getattr(settings, tool)]


def metric_problems(settings: EvaluationTools, names: Sequence[str], situation: Situation) -> list[str]:
    """Error messages about metrics that are unknown, lack a tool or do not apply in this situation.

    Raises ZooError at once for a wrong feature network or flow estimator.
    """
    prefix = "evaluation." if situation.subject == "training" else ""
    check_choice(f"{prefix}flow", settings.flow, ESTIMATORS)
    if settings.features:
        check_features(settings.features, settings.features_weights)
    tools = given_tools(settings) + ([] if situation.subject == "folders" else ["training"])
    found = [problem for name in names for problem in _problems(name, tools, situation, prefix)]
    if settings.flow == "exact":
        found += _exact_flow_problems(situation, prefix)
    return found


def check_metrics(settings: EvaluationTools, names: Sequence[str], situation: Situation) -> None:
    """Raise a ZooError with every message of `metric_problems`, one a line."""
    if found := metric_problems(settings, names, situation):
        raise ZooError("\n".join(found))


def _problems(name: str, tools: Sequence[str], situation: Situation, prefix: str) -> Iterator[str]:
    if name not in METRICS:
        yield f"There is no metric `{name}`.{suggest(name, METRICS)} Known: {joined(METRICS)}."
        return
    card = METRICS[name]
    if card.tool and card.tool not in tools:
        yield f"The metric {name} needs {HOW_TO_GIVE[card.tool].format(prefix)}."
    if card.paired and not situation.paired:
        yield _no_pairs(name, situation, prefix)
    if card.context and not situation.context:
        yield _no_context(name, situation, prefix)
    if situation.subject == "folders":
        yield from _folder_problems(card, situation)
        return
    if card.draws and situation.draws < 2:
        yield (
            f"{name} compares several samples of one clip, but a training draws one. After it, type: "
            "python -m zoo.evaluate run=<run> draws=4"
            if situation.subject == "training"
            else f"{name} compares several samples of one clip, but draws={situation.draws}. Try: draws=4"
        )
    if card.tool == "segmenter" and not situation.from_labels:
        yield f"{name} needs a model that generates from label maps, but {situation.model} does not. Leave it out."


def _no_pairs(name: str, situation: Situation, prefix: str) -> str:
    if situation.subject == "folders":
        return (
            f"{name} compares videos in pairs, but the two folders do not hold videos of the same names. Rename them, "
            "or leave the metric out."
        )
    return (
        f"{name} compares each sample with its real clip, but samples of {situation.model} without context frames have "
        f"no reference clip. {f'Try: {prefix}context=1' if situation.takes_frames else 'Leave it out.'}"
    )


def _no_context(name: str, situation: Situation, prefix: str) -> str:
    without = "two folders of videos do not say which frames were given"
    if situation.subject != "folders":
        without = f"samples of {situation.model} are made without context frames"
    advice = f"Try: {prefix}context=1" if situation.subject != "folders" and situation.takes_frames else "Leave it out."
    return f"{name} measures the step from the last given frame, but {without}. {advice}"


def _folder_problems(card: MetricCard, situation: Situation) -> Iterator[str]:
    if card.draws or card.tool == "segmenter":
        yield f"{card.name} is computed for runs only, not for folders of videos. Leave it out."
    if card.tool == "classifier" and not (situation.spec and situation.spec.fps):
        yield (
            f"{card.name} uses a classifier, which was trained at one frame rate, but images have no frame rate. "
            "Type the rate: fps=12.5"
        )


def _exact_flow_problems(situation: Situation, prefix: str) -> list[str]:
    """Error messages about flow=exact: the flow of the real clips, used for the samples as well."""
    if situation.subject == "folders":
        return ["flow=exact needs a data set that provides flow, but folders hold videos only. Try: flow=dis"]
    if not situation.translates:
        return [
            f"{prefix}flow=exact is the flow of the real clip, but only samples that are translated from a clip must "
            f"move as it does. Try: {prefix}flow=dis"
        ]
    assert situation.spec is not None
    if "flow" not in situation.spec.fields:
        return [
            f"{prefix}flow=exact needs clips with flow, but this data set, as it is set, provides "
            f"{joined(situation.spec.fields)}. Try: {prefix}flow=dis"
        ]
    return []


def monitor_choices(card: ModelCard, metrics: Iterable[str]) -> tuple[str, ...]:
    """The metrics that can choose best.ckpt, the default one first: those that compare a sample with its real clip,
    then distances of two sets, then scores of samples alone.

    Empty where there are none. Motion metrics cannot choose: a video that stands still has the lowest warping error.
    """
    if card.samples:
        cards = [METRICS[name] for name in metrics]
        in_sets = [each for each in cards if each.tool in SET_TOOLS and each.name not in SEVERAL_VALUES]
        groups = (
            [each for each in cards if each.paired],
            [each for each in in_sets if each.better == "min"],
            [each for each in in_sets if each.better == "max"],
        )
        return tuple(each.name for group in groups for each in group)
    return ("miou",) if "segment" in card.tasks else ("accuracy",)
