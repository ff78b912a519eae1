"""What a sample is made from: maps, footage, first frames, a clip of the data set, or nothing. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError
from zoo.settings import SampleSettings
from zoo.types import Clip, sample_name

if TYPE_CHECKING:
    from zoo.model import VideoModel


@dataclass(frozen=True)
class SampleInput:
    """What one sample is made from. name: stem of its files. frames: length of the sample. context: number of real
    frames that the model sees first. pieces: the input in consecutive pieces; None: nothing is given."""

    name: str
    frames: int
    context: int
    pieces: Iterable[Clip] | None


def select_input(settings: SampleSettings, model: VideoModel[Any], number: int) -> SampleInput:
    """The input of one sample: maps, footage, nothing at all, or a clip of the data set."""
    if settings.given and model.source is None:
        return _first_frames_input(settings, model)
    if settings.given:
        return _footage_input(settings, model)
    if "generate" in model.card.tasks and not settings.context and not settings.reconstruct:
        return _empty_input(settings, model, number)
    return validation_clip_input(settings, model, number)


def _empty_input(settings: SampleSettings, model: VideoModel[Any], number: int) -> SampleInput:
    """Nothing but a name."""
    return SampleInput(file_stem(sample_name(number)), settings.frames or model.spec.frames, 0, None)


def file_stem(name: str) -> str:
    """Name of a clip or sample as the stem of its files."""
    return re.sub(r"[^\w.-]+", "_", name)


def _first_frames_input(settings: SampleSettings, model: VideoModel[Any]) -> SampleInput:
    """The first frames of the user's video, or all frames to reconstruct."""
    from zoo.data.model_input import count_input_frames, read_model_input

    if not model.card.tasks & {"predict", "reconstruct"}:
        raise ZooError(f"{model.card.name} generates without any input. Leave given= out.")
    path = Path(str(settings.given))
    available = count_input_frames(path, model.spec, None)
    frames = settings.frames or (available if settings.reconstruct else model.spec.frames)
    shown = frames if settings.reconstruct else settings.context or 0
    if shown > available:
        raise ZooError(f"given={path} has {available} frames at {model.spec.fps:g} fps, but {shown} are required.")
    return SampleInput(path.stem, frames, shown, islice(read_model_input(path, model.spec, None), shown))


def validation_clip_input(settings: SampleSettings, model: VideoModel[Any], number: int) -> SampleInput:
    """A validation clip of the run's data set; for a model that does not translate, only the frames that it uses."""
    from torch.utils.data import default_collate

    from zoo.data.base import build_set
    from zoo.runs.load import data_config

    config = data_config(settings.run, settings.trust, settings.data.root)
    frames = settings.frames or model.spec.frames
    wanted = model.card.wanted() - {"flow", "visibility"}  # used in training only
    length = frames if model.source else max(min(frames, model.spec.frames), settings.context or 0)
    if settings.reconstruct:
        length = frames
    clips = build_set(replace(config, frames=length), "val", wanted, seed=0)
    if number >= len(clips) and settings.between is not None:
        raise ZooError(
            f"between={settings.between}, but the validation clips of {length} frames are 0 to {len(clips) - 1}. "
            f"Try: between=[0,{len(clips) - 1}]"
        )
    if number >= len(clips):
        raise ZooError(
            f"clips is {settings.clips}, but there are {len(clips)} validation clips of {length} frames. "
            f"Try: clips={len(clips)}"
        )
    pieces: Iterator[Clip] = (default_collate([piece]) for piece in clips.pieces(number, length))
    first = next(pieces)
    return SampleInput(file_stem(first["key"][0]), frames, settings.context or 0, chain([first], pieces))


def _footage_input(settings: SampleSettings, model: VideoModel[Any]) -> SampleInput:
    """The user's footage: a video, or frames or maps in a folder."""
    from zoo.data.model_input import count_input_frames, read_model_input
    from zoo.data.transforms import DRAWN_CHANNELS

    path = Path(str(settings.given))
    available = count_input_frames(path, model.spec, model.source)
    frames = settings.frames or available
    if frames > available:
        raise ZooError(
            f"given={path} has {available} frames at {model.spec.fps:g} fps, fewer than {frames}. "
            f"Try: frames={available}"
        )
    shows_frames = model.source == "condition" and model.spec.condition_kind in DRAWN_CHANNELS
    context = settings.context or 0 if shows_frames else 0  # maps come without real frames
    instances = Path(settings.given_instances) if settings.given_instances else None
    return SampleInput(path.stem, frames, context, read_model_input(path, model.spec, model.source, instances))
