"""Evaluate a trained model: sample every held-out clip once (or once a draw), and compute many metrics of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from lightning.fabric.utilities import move_data_to_device
from torch.utils.data import default_collate

from zoo.data.base import ClipSet, DataConfig, build_set
from zoo.data.selection import RANDOM_CLIP, choose_clips
from zoo.devices.hardware import find_device
from zoo.errors import ZooError, check_choice
from zoo.evaluation.baselines import MeasuredBaseline, TrainingClips, find_baselines
from zoo.evaluation.catalogue import METRICS
from zoo.evaluation.choice import Situation, check_metrics, default_metrics, has_pairs
from zoo.evaluation.metric import FrameCurves, MetricValues, Setup
from zoo.evaluation.metrics.lpips import backbone_file
from zoo.evaluation.named_protocols import NamedProtocol, choose_source
from zoo.evaluation.past_baselines import Standing, compare_with_baselines
from zoo.evaluation.protocol import Protocol
from zoo.evaluation.results import add_result
from zoo.evaluation.suite import Measurement, Suite
from zoo.evaluation.tools import check_classifier_on_real_clips, open_tools
from zoo.io.own_files import inside
from zoo.model import VideoModel
from zoo.runs.files import FRAME_CURVES, wandb_run
from zoo.runs.load import data_config, find_checkpoint, load, read_config, training_seed
from zoo.runs.lock import refuse_links_of_run
from zoo.runs.wandb_logger import log_evaluation
from zoo.settings import EvaluateSettings
from zoo.types import Clip, SampleRequest, Split
from zoo.visualization.frame_curves import draw_frame_curves

MAX_DEFAULT_CLIPS = 256
"""Number of clips where the user gives none and the data set has as many."""


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics under one protocol."""

    given: str
    """What the samples were made from, such as ``labels, 1 frame``."""

    protocol: Protocol
    """How they were measured."""

    metrics: MetricValues
    """Value by name."""

    curves: FrameCurves = field(default_factory=dict)
    """Value of each measured frame, for paired metrics."""

    baselines: dict[str, MetricValues] = field(default_factory=dict)
    """The same metrics of trivial samples, by the title of the row."""

    plot: Path | None = None
    """Image of the curves, if there are any."""


def standings(results: Sequence[EvaluationResult]) -> dict[str, Standing]:
    """What the samples were made from -> the trivial rows that the model is past, over all protocols."""
    found = {}
    for given in dict.fromkeys(result.given for result in results):
        model: MetricValues = {}
        rows: dict[str, MetricValues] = {}
        for result in (each for each in results if each.given == given):
            model |= {result.protocol.key(name): value for name, value in result.metrics.items()}
            for row, values in result.baselines.items():
                rows.setdefault(row, {}).update({result.protocol.key(name): value for name, value in values.items()})
        found[given] = compare_with_baselines(model, rows)
    return found


def evaluate_run(settings: EvaluateSettings, named: NamedProtocol | None = None) -> list[EvaluationResult]:
    """Evaluate ``settings.run`` and add a line per protocol to its results.jsonl. named: protocol that the settings are
    from, if any.

    Raises ZooError for a model that generates no videos, and for settings and metrics that do not fit it.
    """
    refuse_links_of_run(find_checkpoint(str(settings.run)).parent)
    wandb_run(find_checkpoint(str(settings.run)).parent)  # a damaged record of it is refused before the work
    model = load(str(settings.run))
    config = data_config(str(settings.run), settings.trust, settings.data.root)
    if not model.card.samples:
        raise ZooError(
            f"{settings.run} is a {model.card.name}: it makes no videos to measure. Type the run of a model that "
            "generates videos: run=runs/<run>"
        )
    for option in ("temperature", "truncation"):
        if (value := getattr(settings, option)) is not None and option not in model.card.options:
            raise ZooError(f"{option}={value}, but {model.card.name} has no {option}. Leave it out.")
    model.to(find_device(settings.accelerator))
    if settings.cuda_graphs:
        model.capture_cuda_graphs()
    classifier = load(settings.classifier) if settings.classifier else None
    results = []
    for context in _contexts(settings, model):
        results += _evaluate(settings, model, config, context, classifier, named)
    folder = find_checkpoint(str(settings.run)).parent.resolve()
    values = {each.protocol.key(name): value for each in results for name, value in each.metrics.items()}
    plots = {each.protocol.key("curves"): each.plot for each in results if each.plot}
    log_evaluation(folder, read_config(folder).get("logger", {}), model.clips_seen, values, plots)
    return results


def _contexts(settings: EvaluateSettings, model: VideoModel[Any]) -> list[int]:
    """Numbers of context frames, one protocol each: the user's, else 1, and also 0 for a model that generates, unless a
    metric that needs given frames is requested; or the nearest numbers that the model can use."""
    if settings.context is not None:
        return [settings.context]
    cards = [METRICS[name] for name in settings.metrics or () if name in METRICS]
    given = any(card.paired or card.context for card in cards)
    wanted = [0, 1] if "generate" in model.card.tasks and not given else [1]
    return sorted({model.config.clamp_context(frames) for frames in wanted})


def _evaluate(
    settings: EvaluateSettings,
    model: VideoModel[Any],
    config: DataConfig,
    context: int,
    classifier: VideoModel[Any] | None,
    named: NamedProtocol | None,
) -> list[EvaluationResult]:
    situation = Situation(
        "run",
        paired=has_pairs(model.card, context),
        translates="translate" in model.card.tasks,
        from_labels=model.source == "labels",
        draws=count_draws(settings),
        spec=model.spec,
        model=model.card.name,
        takes_frames=model.config.context_frames[1] != 0,
        context=context,
    )
    names = metric_names(settings, situation, named)
    frames = settings.frames or _default_frames(model, context, classifier)
    _check_settings(settings, model, context, frames)
    check_metrics(settings, names, situation)
    fields = (
        model.card.wanted() | {"attributes", "labels"} | ({"flow", "visibility"} if settings.flow == "exact" else set())
    )
    split, spec = cast(Split, settings.split or "val"), model.spec
    requested = settings.clips
    if named:
        named.check_data(str(settings.run), config)
        named.check_size(str(settings.run), spec.height, spec.width)
        named, requested = choose_source(settings, config, named)
    real = build_set(replace(config, frames=frames), split, fields, seed=0)
    clips = _clip_count(requested, real, config.name, frames, named)
    protocol = Protocol(
        data=config.name,
        split=split,
        clips=clips,
        frames=frames,
        context=context,
        fps=spec.fps,
        height=spec.height,
        width=spec.width,
        seed=settings.seed,
        draws=count_draws(settings),
        samples=0 if settings.samples in (None, clips) else settings.samples,
        selection=named.selection if named else config.selection,
        settings=config.shaping(),
        options=_protocol_options(settings, model),
        name=named.name if named else "",
        variant=named.variant if named else "",
    )
    setup = open_tools(settings, names, protocol, spec, config, training_seed(str(settings.run)), classifier)
    suite = Suite(names, protocol, setup)
    baselines = _open_baselines(settings, names, protocol, setup, situation, config) if settings.baselines else []
    request = SampleRequest(
        frames, context=context, seed=settings.seed, options=_sampling_options(settings), truncation=settings.truncation
    )
    from_nothing = not model.needs_given(context)
    batches = (
        iter_random_clips(real, clips, frames, settings.batch_size, settings.seed)
        if protocol.selection == RANDOM_CLIP
        else iter_batches(real, choose_clips(protocol.selection, len(real), clips), frames, settings.batch_size)
    )
    for clip in batches:
        clip = move_data_to_device(clip, model.device)
        videos = suite.real_videos(clip)
        if from_nothing:
            for each in (suite, *(baseline.suite for baseline in baselines)):
                each.update_videos(videos, real=True)
            continue
        for baseline in baselines:
            baseline.update(clip, videos)
        requests = [replace(request, given=clip, draw=draw) for draw in range(protocol.draws)]
        suite.update(clip, (model.sample(each).video for each in requests), videos)  # one draw in memory at a time
    if from_nothing:
        _add_samples(suite, baselines, model, request, settings.samples or clips, settings.batch_size)
    return _write_results(settings, model, suite, baselines, context)


def count_draws(settings: EvaluateSettings) -> int:
    """Number of samples for each clip; 1 where the user gives none."""
    return 1 if settings.draws is None else settings.draws


def metric_names(settings: EvaluateSettings, situation: Situation, named: NamedProtocol | None) -> list[str]:
    """The metrics that are computed: the user's, those of the protocol, or the default ones."""
    names = settings.metrics or default_metrics(settings, situation)
    if named and named.lpips and names == named.settings["metrics"] and backbone_file(named.lpips).is_file():
        return [*names, f"lpips_{named.lpips}"]
    return names


def _open_baselines(
    settings: EvaluateSettings,
    names: Sequence[str],
    protocol: Protocol,
    setup: Setup,
    situation: Situation,
    config: DataConfig,
) -> list[MeasuredBaseline]:
    """The trivial rows of a protocol, each with the metrics that make sense for it."""
    found = find_baselines(protocol.context, situation.paired, situation.from_labels)
    if not found:
        return []
    clips = build_set(replace(config, frames=protocol.frames), "train", frozenset(), training_seed(str(settings.run)))
    training = TrainingClips(clips, protocol.frames, config.selection)
    return [MeasuredBaseline(each, names, protocol, setup, training) for each in found]


def _add_samples(
    suite: Suite,
    baselines: Sequence[MeasuredBaseline],
    model: VideoModel[Any],
    request: SampleRequest,
    count: int,
    batch_size: int,
) -> None:
    """Sample from nothing, batch by batch, and add the samples to the suite, and as many to the baselines."""
    for first in range(0, count, batch_size):
        each = replace(request, first=first, clips=min(batch_size, count - first))
        video = model.sample(each).video
        suite.update_samples(each.names, video)
        for baseline in baselines:
            baseline.add_samples(first, each.clips, video)


def _sampling_options(settings: EvaluateSettings) -> dict[str, Any]:
    """Options of the request; a temperature of 1 is the default."""
    return {} if settings.temperature in (None, 1.0) else {"temperature": settings.temperature}


def _protocol_options(settings: EvaluateSettings, model: VideoModel[Any]) -> dict[str, Any]:
    """What changes the samples, for the protocol: options, truncation and, if it matters, the size of a batch."""
    options = _sampling_options(settings)
    if settings.truncation is not None:
        options["truncation"] = settings.truncation
    if model.batch_statistics and settings.batch_size > 1:
        options["batch"] = settings.batch_size
    return options


def _write_results(
    settings: EvaluateSettings,
    model: VideoModel[Any],
    suite: Suite,
    baselines: Sequence[MeasuredBaseline],
    context: int,
) -> list[EvaluationResult]:
    """Add the results to results.jsonl. The classifier's come last: they are kept only if it is accurate on the real
    clips, and the others are kept in any case."""
    folder, given = find_checkpoint(str(settings.run)).parent, model.given(context)
    measured = sorted(suite.compute(), key=lambda each: each.protocol.features == "classifier")
    trivial = {each.title: each.compute() for each in baselines}
    results = [
        EvaluationResult(
            given,
            each.protocol,
            each.metrics,
            each.curves,
            {title: row.metrics for title, rows in trivial.items() for row in rows if row.protocol == each.protocol},
        )
        for each in measured
    ]
    standing = {"trivial_rows": str(standings(results)[given])} if baselines else {}
    for each in measured:
        check_classifier_on_real_clips(each.metrics)
        add_result(folder, model, each.metrics, each.protocol, given, each.curves, **standing)
    for title, rows in trivial.items():
        for row in rows:
            add_result(folder, model, row.metrics, row.protocol, given, row.curves, baseline=title)
    return [
        replace(result, plot=_draw_curves(folder, model.card.name, each, trivial))
        for result, each in zip(results, measured, strict=True)
    ]


def _draw_curves(
    folder: Path, model: str, measured: Measurement, trivial: Mapping[str, Sequence[Measurement]]
) -> Path | None:
    """Plot the curves of a protocol, with those of the trivial rows, into the run folder; None if it has none."""
    if not measured.curves:
        return None
    rows = {model: measured.curves} | {
        title: row.curves for title, rows in trivial.items() for row in rows if row.protocol == measured.protocol
    }
    image = inside(folder, FRAME_CURVES, f"{measured.protocol.split}-{measured.protocol.slug}.png")
    draw_frame_curves(rows, measured.protocol.context, image)
    return image


def _check_settings(settings: EvaluateSettings, model: VideoModel[Any], context: int, frames: int) -> None:
    """Check the settings that are not about metrics, before anything is sampled."""
    check_choice("split", settings.split or "val", ("val", "test", *(("train",) if settings.protocol else ())))
    for name, default in (("height", None), ("width", None), ("fps", None), ("clips_per_video", 1)):
        if getattr(settings, name) != default:
            raise ZooError(
                f"{name}={getattr(settings, name)} applies to two folders only; a run is evaluated as it was trained. "
                "Leave it out."
            )
    if problems := model.config.count_problems(model.spec, frames, context):
        raise ZooError("\n".join(problems))
    if settings.samples is not None and model.needs_given(context):
        raise ZooError(
            f"samples={settings.samples}, but samples of this {model.card.name} are made from {model.given(context)}, "
            "one for each clip and draw. Type clips=<number> or draws=<number> instead."
        )
    if (draws := count_draws(settings)) > 1 and not model.needs_given(context):
        raise ZooError(
            f"draws={draws}, but this {model.card.name} is given nothing that several samples could share. "
            f"For more samples, type samples={draws * (settings.clips or MAX_DEFAULT_CLIPS)}"
        )


def _default_frames(model: VideoModel[Any], context: int, classifier: VideoModel[Any] | None) -> int:
    """Length of a training clip; with a classifier, as many generated frames as it was trained on."""
    return model.spec.frames if classifier is None else classifier.spec.frames + context


def _clip_count(
    requested: int | None, real: ClipSet, data: str, frames: int, named: NamedProtocol | None = None
) -> int:
    if named and requested and requested > (videos := real.video_count(frames)):
        raise named.refuse(
            f"The protocol is of {requested} videos, but the data set `{data}` has {videos} of at least {frames} "
            "frames.",
            f"clips={videos} ",
        )
    if named:
        return requested or real.video_count(frames)
    if requested is not None and requested > len(real):
        raise ZooError(
            f"clips={requested}, but the data set `{data}` has {len(real)} evaluation clips of {frames} frames. "
            f"Try: clips={len(real)}"
        )
    return requested or min(MAX_DEFAULT_CLIPS, len(real))


def iter_batches(clips: ClipSet, numbers: Sequence[int], frames: int, batch_size: int) -> Iterator[Clip]:
    """Yield the clips of these numbers, in batches."""
    for first in range(0, len(numbers), batch_size):
        yield default_collate([clips.clip(number, 0, frames) for number in numbers[first : first + batch_size]])


def iter_random_clips(clips: ClipSet, count: int, frames: int, batch_size: int, seed: int) -> Iterator[Clip]:
    """Yield one clip at a random place of each of the first ``count`` videos, in batches."""
    for first in range(0, count, batch_size):
        numbers = range(first, min(first + batch_size, count))
        yield default_collate([clips.random_clip(number, frames, seed) for number in numbers])
