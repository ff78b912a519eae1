"""Sample from a trained model: ``python -m zoo.sample run=runs/<run> frames=300 seed=1 draws=4``.

Frames are written as they are generated, so a video may have any length.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from zoo.config.compose import hydra_command
from zoo.errors import ZooError, joined
from zoo.runs.files import SAMPLES
from zoo.settings import SampleSettings
from zoo.types import Clip, Sample, SampleRequest, sample_name

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.model import VideoModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SampleInput:
    """What one sample is made from. name: stem of its files. frames: length of the sample. context: number of real
    frames that the model sees first. pieces: the input in consecutive pieces; None: nothing is given."""

    name: str
    frames: int
    context: int
    pieces: Iterable[Clip] | None


def sample(settings: SampleSettings) -> list[Path]:
    """Write an mp4 and a PNG grid for every clip and draw; returns the files written.

    Raises ZooError for a model that makes no videos, for settings that do not fit it, and for files that exist.
    """
    from zoo.devices.hardware import find_device
    from zoo.runs.load import find_checkpoint, load

    model = load(settings.run)
    if not model.card.samples:
        does = "segments" if "segment" in model.card.tasks else "classifies"
        raise ZooError(f"{settings.run} is a {model.card.name}, which {does} videos and cannot generate them.")
    _check_counts(settings)
    settings = replace(settings, context=_context(settings, model))
    _check_fit(settings, model)
    model.to(find_device(settings.accelerator))
    if settings.cuda_graphs:
        model.capture_cuda_graphs()
    options = _options(settings, model)
    for note in describe_promises(model, settings.draws):
        logger.info(note)
    out = Path(settings.out) if settings.out else find_checkpoint(settings.run).parent / SAMPLES
    written = []
    for number in range(1 if settings.given else settings.clips):
        for draw in range(settings.draws):
            source = _select_input(settings, model, number)
            request = SampleRequest(
                source.frames,
                source.pieces,
                source.context,
                settings.seed,
                draw,
                options,
                first=number,
                truncation=settings.truncation,
            )
            stem = f"{source.name}{_describe_options(settings)}-seed{settings.seed}-draw{draw}"
            written += _write(model, request, out / stem, settings.overwrite)
    return written


def _check_counts(settings: SampleSettings) -> None:
    for name, least in (("frames", 1), ("clips", 1), ("draws", 1), ("context", 0), ("temperature", 0)):
        value = getattr(settings, name)
        if value is not None and value < least:
            raise ZooError(f"{name} is {value}, but at least {least} is required. Try: {name}={least}")
    if settings.truncation is not None and settings.truncation <= 0:
        raise ZooError(f"truncation is {settings.truncation}, but it must be positive. Try: truncation=1")


def _check_fit(settings: SampleSettings, model: VideoModel[Any]) -> None:
    """Raise a ZooError for more frames or context than the model can use. Too little context it explains itself, since
    that depends on options such as first_frame."""
    context = max(settings.context or 0, model.config.context_frames[0])
    frames = max(settings.frames or 0, context + 1)
    if problems := model.config.count_problems(model.spec, frames, context):
        raise ZooError("\n".join(problems))


def describe_promises(model: VideoModel[Any], draws: int) -> list[str]:
    """Sentences about what samples of the model do not promise, where it shows."""
    name, notes = model.card.name, []
    if model.deterministic and draws > 1:
        notes.append(f"{name} draws no noise, so all {draws} draws of a clip are the same.")
    if model.batch_statistics:
        notes.append(f"{name} normalises a sample by the statistics of its batch, here of one clip.")
    return notes


def _describe_options(settings: SampleSettings) -> str:
    """Settings that are not the default, as part of file names: samples with other settings overwrite nothing."""
    parts = [f"{name}-{value}" for name, value in settings.attributes.items()]
    parts += [f"context{settings.context}"] if (settings.context or 0) > 1 else []
    parts += [f"temperature{settings.temperature:g}"] if settings.temperature is not None else []
    parts += [f"truncation{settings.truncation:g}"] if settings.truncation is not None else []
    parts += [f"first_frame-{settings.first_frame}"] if settings.first_frame else []
    parts += (
        [f"appearance-{Path(settings.appearance.image).stem}-{settings.appearance.instance}"]
        if settings.appearance.image
        else []
    )
    parts += ["reconstructed"] if settings.reconstruct else []
    return "".join(re.sub(r"[^\w.@-]+", "_", f"-{part}") for part in parts)


def _context(settings: SampleSettings, model: VideoModel[Any]) -> int:
    """Number of real frames that the model sees first: as set, else 0 or 1.

    0 for a model that needs none, and where a real frame would determine what should vary between draws.
    """
    if settings.context is not None:
        return settings.context
    if "generate" in model.card.tasks and not settings.given:
        return 0
    varies = settings.draws > 1 and model.multimodal
    own_start = settings.first_frame in ("image", "generated")  # which the model's config does not know of
    return 0 if varies or own_start else int(model.config.clamp_context(1))


def _options(settings: SampleSettings, model: VideoModel[Any]) -> dict[str, Any]:
    """The sampling options of the request. Raises ZooError for one that the model does not have."""
    options: dict[str, Any] = {}
    if settings.first_frame is not None:
        options["first_frame"] = settings.first_frame
    if settings.appearance.image is not None:
        from zoo.data.appearance import read_appearance

        options["appearance"] = read_appearance(settings.appearance, model.spec)
    if settings.attributes:
        options["attributes"] = dict(settings.attributes)
    if settings.temperature is not None:
        options["temperature"] = settings.temperature
    if settings.reconstruct:
        options["reconstruct"] = True
    for name in [*options, *(["truncation"] if settings.truncation is not None else [])]:
        if name not in model.card.options:
            known = joined(sorted(model.card.options)) or "none"
            raise ZooError(
                f"{model.card.name} has no sampling option `{name}`. Its options: {known}. Leave {name} out."
            )
    return options


def _select_input(settings: SampleSettings, model: VideoModel[Any], number: int) -> SampleInput:
    """The input of one sample: maps, footage, nothing at all, or a clip of the data set."""
    if settings.given and model.source is None:
        return _first_frames_input(settings, model)
    if settings.given:
        return _footage_input(settings, model)
    if "generate" in model.card.tasks and not settings.context and not settings.reconstruct:
        return _empty_input(settings, model, number)
    return _validation_clip_input(settings, model, number)


def _empty_input(settings: SampleSettings, model: VideoModel[Any], number: int) -> SampleInput:
    """Nothing but a name."""
    return SampleInput(_file_stem(sample_name(number)), settings.frames or model.spec.frames, 0, None)


def _file_stem(name: str) -> str:
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


def _validation_clip_input(settings: SampleSettings, model: VideoModel[Any], number: int) -> SampleInput:
    """A validation clip of the run's data set; for a model that does not translate, only the frames that it uses."""
    from torch.utils.data import default_collate

    from zoo.data.base import build_set
    from zoo.runs.load import data_config

    config = data_config(settings.run)
    frames = settings.frames or model.spec.frames
    wanted = model.card.wanted() - {"flow", "visibility"}  # used in training only
    length = frames if model.source else max(min(frames, model.spec.frames), settings.context or 0)
    if settings.reconstruct:
        length = frames
    clips = build_set(replace(config, frames=length), "val", wanted, seed=0)
    if number >= len(clips):
        raise ZooError(
            f"clips is {settings.clips}, but there are {len(clips)} validation clips of {length} frames. "
            f"Try: clips={len(clips)}"
        )
    pieces: Iterator[Clip] = (default_collate([piece]) for piece in clips.pieces(number, length))
    first = next(pieces)
    return SampleInput(_file_stem(first["key"][0]), frames, settings.context or 0, chain([first], pieces))


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


def _write(model: VideoModel[Any], request: SampleRequest, path: Path, overwrite: bool) -> list[Path]:
    """Stream a sample into ``<path>.mp4``, and write ``<path>.png`` with a few frames of the input and the sample.

    The video has a temporary name until it is complete.
    """
    from torch import stack

    from zoo.data.decode import VideoWriter
    from zoo.visualization.grids import filmstrip_frames, save_grid, to_film

    kept = filmstrip_frames(request.frames)
    rows: dict[str, list[Tensor]] = defaultdict(list)
    if request.given is not None:
        request = replace(request, given=_move_and_record(request.given, kept, model, rows))  # type: ignore[arg-type]
    generated: list[Tensor] = []
    path.parent.mkdir(parents=True, exist_ok=True)
    film, grid = (path.with_name(f"{path.name}.{ending}") for ending in ("mp4", "png"))  # the name may contain dots
    if film.exists() and not overwrite:
        raise ZooError(f"{film} already exists. To replace it: overwrite=true. Or choose another folder: out=<folder>")
    partial = film.with_name(f".{film.name}")
    with VideoWriter(partial, model.spec.fps) as writer:
        for t, frame in enumerate(_frames(model, request)):
            picture = to_film(frame.video)[0]
            writer.write(picture.permute(1, 2, 0).numpy())
            if t in kept:
                generated.append(picture)
    partial.replace(film)
    films = {name: stack(_pad(row, generated)) for name, row in {**rows, "generated": generated}.items()}
    save_grid(grid, [films])
    return [film, grid]


def _pad(row: list[Tensor], generated: list[Tensor]) -> list[Tensor]:
    """Cut or pad a row to the length of the generated one; white where there is no input."""
    from torch import full_like

    return row[: len(generated)] + [full_like(picture, 255) for picture in generated[len(row) :]]


def _move_and_record(
    pieces: Iterable[Clip], kept: frozenset[int], model: VideoModel[Any], rows: dict[str, list[Tensor]]
) -> Iterator[Clip]:
    """Move the input to the model's device piece by piece, and add the frames in ``kept`` to ``rows``."""
    from lightning.fabric.utilities import move_data_to_device

    from zoo.visualization.grids import conditioning_film, to_film

    first = 0
    for piece in pieces:
        films = {"given": conditioning_film(piece, 0, model.spec, model.source)} if model.source else {}
        if "video" in piece:
            films["real"] = to_film(piece["video"][0])
        for name, film in films.items():
            rows[name] += [frame for t, frame in enumerate(film, first) if t in kept]
        first += len(next(iter(films.values()), ()))
        yield move_data_to_device(piece, model.device)


def _frames(model: VideoModel[Any], request: SampleRequest) -> Iterator[Sample]:
    """Iterate over the frames of a sample, also for a model that does not stream."""
    from zoo.model import pieces

    if model.card.streams:
        return model.stream(request)
    whole = replace(request, given=_concatenate(list(pieces(request.given))))
    return (Sample(frame) for frame in model.sample(whole).video.unbind(1))


def _concatenate(pieces: Sequence[Clip]) -> Clip | None:
    """Concatenate consecutive pieces along time; what has no time axis is taken from the first."""
    from torch import Tensor, cat
    from torch.utils._pytree import tree_map

    def join(first: Any, *others: Any) -> Any:
        return cat([first, *others], 1) if isinstance(first, Tensor) and first.ndim > 1 else first

    return tree_map(join, *pieces) if pieces else None


@hydra_command("sample")
def main(config: DictConfig) -> list[Path]:
    """The command."""
    settings: SampleSettings = OmegaConf.to_object(config)  # type: ignore[assignment]
    written = sample(settings)
    print("\n".join(str(path) for path in written))
    return written


if __name__ == "__main__":
    main()
