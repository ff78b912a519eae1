"""Preflight: check that model, data set, strategy and evaluation fit each other. Imports no torch."""

from __future__ import annotations

from zoo.card import ModelCard, ModelConfig
from zoo.data.base import DATA_SETS
from zoo.devices.hardware import machine_problems
from zoo.errors import ZooError, check_choice, joined
from zoo.evaluation.choice import (
    PAIRED_DEFAULTS,
    Situation,
    default_metrics,
    metric_problems,
    monitor_choices,
    training_situation,
)
from zoo.settings import Evaluation, Logger, Train
from zoo.types import ClipSpec


def check(card: ModelCard, spec: ClipSpec, settings: Train) -> None:
    """Raise a ZooError with every mismatch, one a line."""
    check_choice("logger.wandb", settings.logger.wandb, ("auto", "online", "offline", "disabled"))
    found = [
        *_logger(settings.logger),
        *_fields(card, spec, settings.data.name),
        *_shape(card, spec),
        *settings.model.problems(spec),
        *_labelled_fraction(card, settings.data.labelled_fraction),
        *machine_problems(card, settings),
        *_evaluation(card, spec, settings),
    ]
    if found:
        raise ZooError("\n".join(found))


def _logger(logger: Logger) -> list[str]:
    if logger.project and (wrong := [letter for letter in "/\\#?%:" if letter in logger.project]):
        owner, _, name = logger.project.partition("/")
        advice = f"logger.entity={owner} logger.project={name}" if owner and name else "logger.project=zoo"
        return [f"logger.project={logger.project}: a wandb project contains no {' '.join(wrong)}. Try: {advice}"]
    return [
        f"logger.{name} has {len(value)} characters, but wandb allows at most 128. Type a shorter one."
        for name in ("project", "group", "name")
        if len(value := getattr(logger, name) or "") > 128
    ]


def _fields(card: ModelCard, spec: ClipSpec, data: str) -> list[str]:
    sentences = []
    for group in card.missing(spec):
        names = " or ".join(f"`{name}`" for name in group)
        sets = [entry.card.name for entry in DATA_SETS.entries() if card.fits(entry.card.fields)]
        sentences.append(
            f"{card.name} needs {names} in every clip; "
            f"data set `{data}` with these settings provides {joined(spec.fields)}.\n"
            f"{_setting_that_provides(group, data)}"
            f"Data sets that can provide it: {joined(sets)}.    "
            f"Try: python -m zoo.train model={card.name} data=puppets"
        )
    return sentences


def _setting_that_provides(group: tuple[str, ...], data: str) -> str:
    """Name the setting, if this data set could provide one of the fields under another setting."""
    possible = [name for name in group if name in DATA_SETS.find(data).card.fields]
    return f"`{data}` can provide {joined(possible)}: set data.{possible[-1]}=….\n" if possible else ""


def _shape(card: ModelCard, spec: ClipSpec) -> list[str]:
    sentences = []
    if spec.channels not in card.channels:
        kinds = {3: "3 channels (RGB)", 1: "1 channel (grey)"}
        possible = " or ".join(kinds[count] for count in card.channels)
        sentences.append(
            f"{card.name} works with videos of {possible}, but with data.channels={spec.channels} they have "
            f"{kinds[spec.channels]}. "
            f"Try: data.channels={card.channels[0]}"
        )
    if spec.frames < card.min_frames:
        sentences.append(
            f"{card.name} trains on clips of at least {card.min_frames} frames, but data.frames={spec.frames}. "
            f"Try: data.frames={card.min_frames}"
        )
    for name, pixels in (("height", spec.height), ("width", spec.width)):
        if pixels % card.size_multiple:
            nearest = max(round(pixels / card.size_multiple), 1) * card.size_multiple
            sentences.append(
                f"{card.name} needs a {name} that is a multiple of {card.size_multiple}, but it is {pixels}. "
                f"Try: data.{name}={nearest}"
            )
    return sentences


def _labelled_fraction(card: ModelCard, fraction: float) -> list[str]:
    if fraction == 0 and ("attributes",) in card.needs:
        return [f"{card.name} learns from labels, but data.labelled_fraction=0 leaves none. Leave it out."]
    return []


def _evaluation(card: ModelCard, spec: ClipSpec, settings: Train) -> list[str]:
    evaluation, monitor = settings.evaluation, settings.callbacks.monitor
    model, context = settings.model, evaluation_context(settings)
    situation = training_situation(card, model, context, spec)
    metrics = evaluation.metrics or default_metrics(evaluation, situation)
    if found := _metrics(card, evaluation, metrics, situation):
        return found
    choices = monitor_choices(card, metrics)
    if card.samples and not situation.paired and monitor is not None and not choices:
        return [
            f"callbacks.monitor={monitor}: samples of {card.name} without context frames have no reference clip, and "
            "no metric of two sets is computed, so none can choose best.ckpt. Leave it out, or type "
            f"evaluation.metrics=[kvd] evaluation.features=r3d_18{', or evaluation.context=1' * situation.takes_frames}"
        ]
    if situation.paired and not choices:
        return [
            f"best.ckpt is chosen by a paired metric, such as {joined(PAIRED_DEFAULTS)}, or by a metric of two sets, "
            f"such as kvd, but evaluation.metrics has neither. Try: evaluation.metrics=[{','.join([*metrics, 'l1'])}]"
        ]
    if monitor is not None:
        check_choice("callbacks.monitor", monitor, choices)
    if not card.samples:
        return []
    return model.count_problems(spec, evaluation.frames or spec.frames, context, "evaluation.")


def evaluation_context(settings: Train) -> int:
    """Number of real frames that samples of a validation round begin with: as set, else 1 if the model can use it."""
    model: ModelConfig = settings.model
    return model.clamp_context(1) if settings.evaluation.context is None else settings.evaluation.context


def _metrics(card: ModelCard, evaluation: Evaluation, metrics: list[str], situation: Situation) -> list[str]:
    if card.samples:
        return metric_problems(evaluation, metrics, situation)
    if evaluation.metrics is None:
        return []
    return [f"evaluation.metrics measures generated videos, but {card.name} generates none. Leave it out."]
