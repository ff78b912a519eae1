"""Interpolate between the codes of two samples or validation clips: ``zoo sample run=runs/<run> between=[0,3]``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor

from zoo.errors import ZooError
from zoo.model import VideoModel, pieces
from zoo.sampling.inputs import validation_clip_input
from zoo.sampling.writing import check_new, concatenate
from zoo.settings import SampleSettings
from zoo.types import SampleRequest
from zoo.visualization.grids import save_film, save_grid, to_film


def write_interpolation(
    model: VideoModel[Any], request: SampleRequest, path: Path, settings: SampleSettings
) -> list[Path]:
    """Decode codes on the way from one sample, or validation clip, to another, with the numbers ``settings.between``.

    Writes ``<path>.mp4``, all videos side by side, and ``<path>.png`` with one row each, named by its share of the way.
    Raises ZooError for a model without a code.
    """
    if not model.card.latent:
        raise ZooError(f"between={settings.between}, but {model.card.name} has no code to interpolate. Leave it out.")
    assert settings.between is not None
    one, other = (_code(settings, model, number, request) for number in settings.between)
    films = {
        f"{share:.2f}": to_film(model.decode(model.interpolate(one, other, share), request).video[0])
        for share in torch.linspace(0, 1, settings.steps).tolist()
    }
    film, grid = (path.with_name(f"{path.name}.{ending}") for ending in ("mp4", "png"))  # the name may contain dots
    check_new(film, settings.overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_film(film, [{"generated": each} for each in films.values()], model.spec.fps)
    save_grid(grid, [films])
    return [film, grid]


def _code(settings: SampleSettings, model: VideoModel[Any], number: int, request: SampleRequest) -> Tensor:
    """Code of the sample, or of the encoded validation clip, with that number: a batch of one."""
    if not model.encodes:
        return model.draw_code(replace(request, first=number))
    whole = replace(settings, reconstruct=True, frames=request.frames)
    clip = concatenate(list(pieces(validation_clip_input(whole, model, number).pieces)))
    return model.encode(move_data_to_device(clip, model.device))
