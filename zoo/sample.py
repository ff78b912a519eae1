"""Sample from a trained model: ``python -m zoo.sample run=runs/<run> frames=300 seed=1 draws=4``.

Frames are written as they come, so a video may be of any length.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from zoo.config.compose import hydra_command
from zoo.errors import ZooError, listed
from zoo.runs.files import SAMPLES
from zoo.settings import SampleSettings
from zoo.types import Clip, Sample, SampleRequest

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.model import VideoModel


@dataclass(frozen=True)
class Given:
    """One thing to sample from: a name for its files, how many frames to make, how many real ones to show first."""

    name: str
    frames: int
    context: int
    pieces: Iterable[Clip]


def sample(settings: SampleSettings) -> list[Path]:
    """Write an mp4 for every given clip and draw, and a PNG grid for each; returns what was written."""
    from zoo.devices.hardware import find_device
    from zoo.runs.load import find_checkpoint, load

    model = load(settings.run)
    if not model.card.samples:
        does = "segments" if "segment" in model.card.tasks else "classifies"
        raise ZooError(f"{settings.run} is a {model.card.name}: it {does} and makes no videos.")
    _check_counts(settings)
    settings = replace(settings, context=_context(settings, model))
    model.to(find_device(settings.accelerator))
    if settings.cuda_graphs:
        model.capture_cuda_graphs()
    options = _options(settings, model)
    out = Path(settings.out) if settings.out else find_checkpoint(settings.run).parent / SAMPLES
    written = []
    for number in range(1 if settings.given else settings.clips):
        for draw in range(settings.draws):
            given = _given(settings, model, number)
            request = SampleRequest(given.frames, given.pieces, given.context, settings.seed, draw, options)
            stem = f"{given.name}{_manner(settings)}-seed{settings.seed}-draw{draw}"
            written += _write(model, request, out / stem, settings.overwrite)
    return written


def _check_counts(settings: SampleSettings) -> None:
    for name, least in (("frames", 1), ("clips", 1), ("draws", 1), ("context", 0), ("temperature", 0)):
        value = getattr(settings, name)
        if value is not None and value < least:
            raise ZooError(f"{name}={value} is too small. Try: {name}={least}")


def _manner(settings: SampleSettings) -> str:
    """What was asked beside the usual, for the names of files: another wish overwrites nothing."""
    words = [f"{name}-{value}" for name, value in settings.attributes.items()]
    words += [f"context{settings.context}"] if (settings.context or 0) > 1 else []
    words += [f"temperature{settings.temperature:g}"] if settings.temperature is not None else []
    words += [f"first_frame-{settings.first_frame}"] if settings.first_frame else []
    words += (
        [f"appearance-{Path(settings.appearance.image).stem}-{settings.appearance.instance}"]
        if settings.appearance.image
        else []
    )
    words += ["reconstructed"] if settings.reconstruct else []
    return "".join(re.sub(r"[^\w.@-]+", "_", f"-{word}") for word in words)


def _context(settings: SampleSettings, model: VideoModel[Any]) -> int:
    """How many real frames are shown first: as asked; else none where none is needed, or where one would decide what is
    to vary; else one."""
    if settings.context is not None:
        return settings.context
    if "generate" in model.card.tasks and not settings.given:
        return 0
    varies = settings.draws > 1 and model.multimodal
    return 0 if varies or settings.first_frame in ("image", "generated") else 1


def _options(settings: SampleSettings, model: VideoModel[Any]) -> dict[str, Any]:
    """The options of the request; a ZooError for one that the model does not know."""
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
    for name in options:
        if name not in model.card.options:
            known = listed(sorted(model.card.options)) or "none"
            raise ZooError(f"{model.card.name} has no sampling option `{name}`; it has {known}. Leave it out.")
    return options


def _given(settings: SampleSettings, model: VideoModel[Any], number: int) -> Given:
    """What one sample is made from: maps, footage, nothing at all, or a clip of the data set."""
    if settings.given and model.source is None:
        return _beginning(settings, model)
    if settings.given:
        return _footage(settings, model)
    if "generate" in model.card.tasks and not settings.context and not settings.reconstruct:
        return _nothing(settings, model, number)
    return _clip(settings, model, number)


def _nothing(settings: SampleSettings, model: VideoModel[Any], number: int) -> Given:
    """A clip with a name and nothing else."""
    import torch

    empty: Clip = {"key": [f"sample/{number}"], "fps": torch.tensor([model.spec.fps])}  # type: ignore[typeddict-item]
    return Given(f"sample_{number}", settings.frames or model.spec.frames, 0, [empty])


def _beginning(settings: SampleSettings, model: VideoModel[Any]) -> Given:
    """The first frames of a user's video, or all of them where they are to be reconstructed."""
    from zoo.data.model_input import count_input_frames, read_model_input

    if not model.card.tasks & {"predict", "reconstruct"}:
        raise ZooError(f"{model.card.name} begins from nothing; it takes no given=. Try without it.")
    path = Path(str(settings.given))
    there = count_input_frames(path, model.spec, None)
    frames = settings.frames or (there if settings.reconstruct else model.spec.frames)
    shown = frames if settings.reconstruct else settings.context or 0
    if shown > there:
        raise ZooError(f"given={path} has {there} frames at {model.spec.fps:g} a second, and {shown} are to be shown.")
    return Given(path.stem, frames, shown, islice(read_model_input(path, model.spec, None), shown))


def _clip(settings: SampleSettings, model: VideoModel[Any], number: int) -> Given:
    """A validation clip of the run's own data set; of a model that does not translate, only as long as it is used."""
    from torch.utils.data import default_collate

    from zoo.data.base import build_set
    from zoo.runs.load import data_config

    config = data_config(settings.run)
    frames = settings.frames or model.spec.frames
    wanted = model.card.wanted() - {"flow", "visibility"}  # what training compares with, and sampling does not see
    length = frames if model.source else max(min(frames, model.spec.frames), settings.context or 0)
    if settings.reconstruct:
        length = frames
    clips = build_set(replace(config, frames=length), "val", wanted, seed=0)
    if number >= len(clips):
        raise ZooError(f"There are {len(clips)} validation clips of {length} frames. Try: clips={len(clips)}")
    pieces: Iterator[Clip] = (default_collate([piece]) for piece in clips.pieces(number, length))
    first = next(pieces)
    return Given(re.sub(r"[^\w.-]+", "_", first["key"][0]), frames, settings.context or 0, chain([first], pieces))


def _footage(settings: SampleSettings, model: VideoModel[Any]) -> Given:
    """What the user gives."""
    from zoo.data.model_input import count_input_frames, read_model_input
    from zoo.data.transforms import DRAWN_CHANNELS

    path = Path(str(settings.given))
    there = count_input_frames(path, model.spec, model.source)
    frames = settings.frames or there
    if frames > there:
        raise ZooError(f"given={path} has {there} frames at {model.spec.fps:g} a second. Try: frames={there}")
    shows_frames = model.source == "condition" and model.spec.condition_kind in DRAWN_CHANNELS
    context = settings.context or 0 if shows_frames else 0  # maps come without the frames they are maps of
    instances = Path(settings.given_instances) if settings.given_instances else None
    return Given(path.stem, frames, context, read_model_input(path, model.spec, model.source, instances))


def _write(model: VideoModel[Any], request: SampleRequest, path: Path, overwrite: bool) -> list[Path]:
    """Stream a sample into ``<path>.mp4``, which has its name when it is whole; keep a few frames of it and of what was
    given for ``<path>.png``."""
    from torch import stack

    from zoo.data.decode import VideoWriter
    from zoo.visualization.grids import filmstrip_frames, save_grid, to_bytes

    kept = filmstrip_frames(request.frames)
    rows: dict[str, list[Tensor]] = defaultdict(list)
    request = replace(request, given=_watch(request.given, kept, model, rows))  # type: ignore[arg-type]
    made: list[Tensor] = []
    path.parent.mkdir(parents=True, exist_ok=True)
    film, grid = (path.with_name(f"{path.name}.{ending}") for ending in ("mp4", "png"))  # there may be dots in the name
    if film.exists() and not overwrite:
        raise ZooError(f"{film} is there already. To put another in its place: overwrite=true. Or: out=<folder>")
    beside = film.with_name(f".{film.name}")
    with VideoWriter(beside, model.spec.fps) as writer:
        for t, frame in enumerate(_frames(model, request)):
            picture = to_bytes(frame.video[0])
            writer.write(picture.permute(1, 2, 0).numpy())
            if t in kept:
                made.append(picture)
    beside.replace(film)
    films = {name: stack(_filled(row, made)) for name, row in {**rows, "generated": made}.items()}
    save_grid(grid, [films])
    return [film, grid]


def _filled(row: list[Tensor], made: list[Tensor]) -> list[Tensor]:
    """As many pictures as were made; white where nothing was given."""
    from torch import full_like

    return row[: len(made)] + [full_like(picture, 255) for picture in made[len(row) :]]


def _watch(
    pieces: Iterable[Clip], kept: frozenset[int], model: VideoModel[Any], rows: dict[str, list[Tensor]]
) -> Iterator[Clip]:
    """Pass the given on to where the model is, and keep the pictures of a few of its frames."""
    from lightning.fabric.utilities import move_data_to_device

    from zoo.visualization.grids import conditioning_film, to_bytes

    first = 0
    for piece in pieces:
        films = {"given": conditioning_film(piece, 0, model.spec, model.source)} if model.source else {}
        if "video" in piece:
            films["real"] = to_bytes(piece["video"][0])
        for name, film in films.items():
            rows[name] += [frame for t, frame in enumerate(film, first) if t in kept]
        first += len(next(iter(films.values()), ()))
        yield move_data_to_device(piece, model.device)


def _frames(model: VideoModel[Any], request: SampleRequest) -> Iterator[Sample]:
    """The frames one by one, from a model that streams and from one that does not."""
    from zoo.model import pieces

    if model.card.streams:
        return model.stream(request)
    whole = replace(request, given=_joined(list(pieces(request.given))))
    return (Sample(frame) for frame in model.sample(whole).video.unbind(1))


def _joined(pieces: Sequence[Clip]) -> Clip | None:
    """Consecutive pieces as one clip: what has a time axis, one behind the other."""
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
