"""Write a sample, frame by frame, as an mp4, with a PNG of a few frames of its input and of itself.

Shapes: T frames, C channels, H x W pixels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor
from torch.utils._pytree import tree_map

from zoo.data.decode import VideoWriter
from zoo.errors import ZooError
from zoo.model import VideoModel
from zoo.model import pieces as pieces_of
from zoo.types import Clip, Sample, SampleRequest
from zoo.visualization.grids import conditioning_film, filmstrip_frames, save_grid, to_film


def write_sample(model: VideoModel[Any], request: SampleRequest, path: Path, overwrite: bool) -> list[Path]:
    """Stream a sample into ``<path>.mp4``, and write ``<path>.png`` with a few frames of the input and the sample.

    The video has a temporary name until it is complete.
    """
    kept = filmstrip_frames(request.length)
    rows: dict[str, list[Tensor]] = defaultdict(list)
    if request.given is not None:
        request = replace(request, given=_move_and_record(request.given, kept, model, rows))  # type: ignore[arg-type]
    generated: list[Tensor] = []
    path.parent.mkdir(parents=True, exist_ok=True)
    film, grid = (path.with_name(f"{path.name}.{ending}") for ending in ("mp4", "png"))  # the name may contain dots
    check_new(film, overwrite)
    partial = film.with_name(f".{film.name}")
    with VideoWriter(partial, model.spec.fps) as writer:
        for t, frame in enumerate(_frames(model, request)):
            picture = to_film(frame.video)[0]
            writer.write(picture.permute(1, 2, 0).numpy())
            if t in kept:
                generated.append(picture)
    partial.replace(film)
    films = {name: torch.stack(_pad(row, generated)) for name, row in {**rows, "generated": generated}.items()}
    save_grid(grid, [films])
    return [film, grid]


def _pad(row: list[Tensor], generated: list[Tensor]) -> list[Tensor]:
    """Cut or pad a row to the length of the generated one; white where there is no input."""
    return row[: len(generated)] + [torch.full_like(picture, 255) for picture in generated[len(row) :]]


def _move_and_record(
    pieces: Iterable[Clip], kept: frozenset[int], model: VideoModel[Any], rows: dict[str, list[Tensor]]
) -> Iterator[Clip]:
    """Move the input to the model's device piece by piece, and add the frames in ``kept`` to ``rows``."""
    first = 0
    for piece in pieces:
        films = {"given": conditioning_film(piece, 0, model.spec, model.source)} if model.source else {}
        if "video" in piece:
            films["real"] = to_film(piece["video"][0])
        for name, film in films.items():
            rows[name] += [frame for t, frame in enumerate(film, first) if t in kept]
        first += len(next(iter(films.values()), ()))
        yield move_data_to_device(piece, model.device)


def check_new(film: Path, overwrite: bool) -> None:
    """Raise a ZooError for a file that exists and may not be replaced."""
    if film.exists() and not overwrite:
        raise ZooError(f"{film} already exists. To replace it: overwrite=true. Or choose another folder: out=<folder>")


def _frames(model: VideoModel[Any], request: SampleRequest) -> Iterator[Sample]:
    """Iterate over the frames of a sample, also for a model that does not stream."""
    if model.card.streams:
        return model.stream(request)
    whole = replace(request, given=concatenate(list(pieces_of(request.given))))
    return (Sample(frame) for frame in model.sample(whole).video.unbind(1))


def concatenate(pieces: Sequence[Clip]) -> Clip | None:
    """Concatenate consecutive pieces along time; what has no time axis is taken from the first."""

    def join(first: Any, *others: Any) -> Any:
        return torch.cat([first, *others], 1) if isinstance(first, Tensor) and first.ndim > 1 else first

    return tree_map(join, *pieces) if pieces else None
